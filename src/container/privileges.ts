/** What toybox itself may do here: as somebody, in containers of others, below their filters. */
import { CAPABILITY_NAMES } from "../../ffi/constants/capability.ts"
import { type Check, type Machine, ok, type Rule } from "./examined.ts"

/** Without one of these no container is made: mounts, cgroups, devices, the loopback, the command's user and capabilities. */
const NEEDED = ["DAC_OVERRIDE", "MKNOD", "NET_ADMIN", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN"]

function missingCapabilities({ read }: Machine): string[] {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status") ?? "")?.[1]
  if (hex === undefined) return []
  const has = (name: string) => (BigInt(`0x${hex}`) >> BigInt(CAPABILITY_NAMES.indexOf(`CAP_${name}`))) & 1n
  return NEEDED.filter((name) => !has(name))
}

/** user_namespaces(7): all ids of the machine are there in the first namespace alone. */
const isFirstNamespace = ({ read }: Machine) =>
  /^\s*0\s+0\s+4294967295\s*$/.test(read("/proc/self/uid_map") ?? "0 0 4294967295")

const missing =
  (name: string) =>
  (found: string, cost: string, mend: string): Check => ({ name, state: "missing", found, cost, mend })

/** Whether toybox is the machine's root. */
export const user: Rule = (machine) => {
  const lack = missing("user")
  if (!machine.isRoot) return lack("an ordinary user", "toybox run needs root", "sudo toybox …")
  if (!isFirstNamespace(machine))
    return lack("root of a user namespace", "devices and cgroups are the machine's root's", "toybox outside of it")
  const lacking = missingCapabilities(machine)
  if (lacking.length === 0) return ok("user", "root")
  const found = `root without ${lacking.join(", ")}`
  return lack(found, "no container can be made", "in a container: run that one with --privileged")
}

/** Whether containers' filters, and the calls that toybox needs, are there. */
export const seccomp: Rule = ({ read, clones }) => {
  const actions = read("/proc/sys/kernel/seccomp/actions_avail")
  const lack = missing("seccomp")
  if (!clones) {
    const mend = "in a container: run that one with --security-opt seccomp=unconfined, or --privileged"
    return lack("a filter around toybox refuses clone3", "no container can be made", mend)
  }
  if (actions !== null) return ok("seccomp", actions.trim())
  const cost = "containers run with --security-opt seccomp=unconfined only"
  return lack("none", cost, "a kernel with CONFIG_SECCOMP_FILTER")
}
