/** The devices that every container has: runtime-spec config-linux.md, "Default Devices". */
import type { LinuxDeviceCgroup } from "./resources.ts"

/** The device nodes of runtime-spec config-linux.md, "Default Devices"; all character devices, mode 0666. */
export const DEFAULT_DEVICES: readonly (readonly [string, number, number])[] = [
  ["/dev/null", 1, 3],
  ["/dev/zero", 1, 5],
  ["/dev/full", 1, 7],
  ["/dev/random", 1, 8],
  ["/dev/urandom", 1, 9],
  ["/dev/tty", 5, 0],
]

const allow = (type: string, major: number, minor: number, access = "rwm"): LinuxDeviceCgroup => ({
  allow: true,
  type,
  major,
  minor,
  access,
})

/** What the devices of a container's own /dev need: runtime-spec config-linux.md "Default Devices", terminals included. */
export const ALLOWED_DEVICES: readonly LinuxDeviceCgroup[] = [
  // Making a node gives no access to the device: whoever was given CAP_MKNOD may, as in docker and runc.
  allow("c", -1, -1, "m"),
  allow("b", -1, -1, "m"),
  allow("c", 1, 3), // null
  allow("c", 1, 5), // zero
  allow("c", 1, 7), // full
  allow("c", 1, 8), // random
  allow("c", 1, 9), // urandom
  allow("c", 5, 0), // tty
  allow("c", 5, 1), // console
  allow("c", 5, 2), // ptmx
  allow("c", 136, -1), // pts/*
]

/** The device rules of a container that asked for nothing. Rules for `--device` go behind them. */
export const DEFAULT_DEVICE_RULES: readonly LinuxDeviceCgroup[] = [{ allow: false, access: "rwm" }, ...ALLOWED_DEVICES]
