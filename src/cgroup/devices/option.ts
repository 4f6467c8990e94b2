import { badValue } from "../units/decimal.ts"

/** What `--device` asks for: the host's device, its path in the container, and letters of `rwm`. */
export interface DeviceMapping {
  readonly hostPath: string
  readonly containerPath: string
  readonly access: string
}

const FORMS = "a device (use /dev/fuse, /dev/sda:/dev/xvda or /dev/sda:/dev/xvda:rw)"
const isAccess = (text: string) => /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length
const isPath = (text: string) =>
  text.startsWith("/") && !text.includes("\0") && !text.endsWith("/") && !text.split("/").includes("..")

/** `--device HOST[:CONTAINER][:rwm]`, docker's syntax. Throws UsageError. */
export function parseDevice(option: string, text: string): DeviceMapping {
  const parts = text.split(":")
  const [hostPath = "", second, third] = parts
  const onlyAccess = parts.length === 2 && second !== undefined && isAccess(second)
  const containerPath = onlyAccess || second === undefined ? hostPath : second
  const access = onlyAccess ? second : (third ?? "rwm")
  if (parts.length > 3 || !isPath(hostPath) || !isPath(containerPath) || !isAccess(access)) {
    throw badValue(option, text, FORMS)
  }
  return { hostPath, containerPath, access }
}
