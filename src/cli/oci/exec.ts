/** toybox oci exec. */
import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { cgroupPath } from "../../cgroup/path.ts"
import { execInContainer } from "../../container/oci/exec.ts"
import { takeSignals } from "../../container/supervise.ts"
import { UsageError } from "../../errors.ts"
import { readProcess } from "../../oci/read.ts"
import type { Capabilities, Process } from "../../oci/runtime.ts"
import { type ParsedArgv, parseLeading } from "../argv.ts"
import { listenedDescriptors } from "../flags/descriptors.ts"
import type { OciContext } from "./context.ts"
import { readJsonFile } from "./json-file.ts"
import { EXEC_OPTIONS } from "./options.ts"

const MOST_ID = 2 ** 32 - 2

function readId(option: string, text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > MOST_ID)
    throw new UsageError(`${option}: "${text}" is not an id`, { hint: `use a number from 0 to ${MOST_ID}` })
  return Number(text)
}

/** All five sets get a capability that was asked for, but the ambient one: as runc has it. */
function withCapabilities(own: Capabilities, added: readonly string[]): Capabilities {
  const add = (set: readonly string[]) => [...new Set([...set, ...added])]
  return {
    bounding: add(own.bounding),
    effective: add(own.effective),
    permitted: add(own.permitted),
    inheritable: own.inheritable,
    ambient: own.ambient,
  }
}

/** The process that the options describe, from the container's own. Throws UsageError. */
function fromOptions({ strings, lists, booleans }: ParsedArgv, own: Process, args: string[]): Process {
  const [uidText, gidText, more] = strings.get("user")?.split(":") ?? []
  if (more !== undefined)
    throw new UsageError(`--user: "${strings.get("user")}" is no user`, { hint: "use UID or UID:GID" })
  const additional = lists.get("additional-gids")?.map((text) => readId("--additional-gids", text)) ?? []
  const capabilities = lists.get("cap")?.map((name) => {
    const upper = name.toUpperCase()
    const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`
    if (!CAPABILITY_NAMES.includes(full)) throw new UsageError(`--cap: "${name}" is not a capability`)
    return full
  })
  const user = {
    ...own.user,
    ...(uidText === undefined ? {} : { uid: readId("--user", uidText) }),
    ...(gidText === undefined ? {} : { gid: readId("--user", gidText) }),
    additionalGids: [...own.user.additionalGids, ...additional],
  }
  const label = strings.get("process-label")
  const profile = strings.get("apparmor")
  const process = {
    ...own,
    args,
    user,
    cwd: strings.get("cwd") ?? own.cwd,
    env: [...own.env, ...(lists.get("env") ?? [])],
    terminal: booleans.get("tty") ?? false,
    noNewPrivileges: booleans.get("no-new-privs") ?? own.noNewPrivileges,
    capabilities: withCapabilities(own.capabilities, capabilities ?? []),
    ...(label === undefined ? {} : { selinuxLabel: label }),
    ...(profile === undefined ? {} : { apparmorProfile: profile }),
  }
  // The same checks as of a file, once more: a bad --cwd or --cap is refused in the same words.
  return readProcess(process, "exec")
}

/** The process of a file. What it leaves out of capabilities and limits is the container's. */
function fromFile(path: string, tty: boolean | undefined): (own: Process) => Process {
  const value = readJsonFile("--process", path)
  const read = readProcess(value, path)
  const given = value as Partial<Record<keyof Process, unknown>>
  return (own) => ({
    ...read,
    ...(tty === undefined ? {} : { terminal: tty }),
    capabilities: given.capabilities ? read.capabilities : own.capabilities,
    rlimits: given.rlimits ? read.rlimits : own.rlimits,
    noNewPrivileges: typeof given.noNewPrivileges === "boolean" ? read.noNewPrivileges : own.noNewPrivileges,
  })
}

export async function execCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const argv = parseLeading(words, EXEC_OPTIONS)
  const { strings, booleans, rest } = argv
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("exec")
  const [id, ...args] = rest
  if (id === undefined) throw new UsageError("exec needs the id of a container")
  const cgroup = strings.get("cgroup")
  const file = strings.get("process")
  if (file === undefined && args.length === 0) throw new UsageError("exec needs a command, or --process")
  const { fds, env } = listenedDescriptors(strings.get("preserve-fds"))
  const signalFd = takeSignals()
  return execInContainer(
    {
      root,
      id,
      process: file === undefined ? (own) => fromOptions(argv, own, args) : fromFile(file, booleans.get("tty")),
      consoleSocket: strings.get("console-socket"),
      detach: booleans.get("detach") ?? false,
      pidFile: strings.get("pid-file"),
      passedFds: fds,
      env,
      cgroup: cgroup === undefined || cgroup === "/" ? undefined : cgroupPath("--cgroup", cgroup),
      ignorePaused: booleans.get("ignore-paused") ?? false,
    },
    signalFd,
  )
}
