/** spec.process → the steps of stage two: who the command is, and what it may do. */
import { CAPABILITY_NAMES } from "../../ffi/constants/capability.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import type { Process, Spec } from "../oci/runtime.ts"
import { type Facts, MOMENT_READY } from "./facts.ts"
import { hasOwn } from "./namespaces.ts"
import { labelSteps, personalitySteps, schedulingSteps } from "./process.ts"
import type { Step } from "./steps.ts"

const numbers = (names: readonly string[], last: number) =>
  names.map((name) => CAPABILITY_NAMES.indexOf(name)).filter((number) => number >= 0 && number <= last)

function capabilitySteps({ capabilities }: Process, last: number): { before: Step[]; after: Step[] } {
  const bounding = new Set(numbers(capabilities.bounding, last))
  const permitted = numbers(capabilities.permitted, last)
  const inheritable = numbers(capabilities.inheritable, last)
  const drop: number[] = []
  for (let number = 0; number <= last; number++) if (!bounding.has(number)) drop.push(number)
  return {
    before: [{ kind: "bounding-set", drop }],
    after: [
      {
        kind: "capabilities",
        effective: numbers(capabilities.effective, last),
        permitted,
        inheritable,
        // Of others the kernel refuses to make ambient ones: capabilities(7). runc's own default spec names some.
        ambient: numbers(capabilities.ambient, last).filter(
          (number) => inheritable.includes(number) && permitted.includes(number),
        ),
      },
    ],
  }
}

// What execvp(3) of most C libraries falls back to is narrower; docker's default is what people expect.
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** Where to look for a command: as it is if it has a slash, else in each directory of PATH. */
export function execCandidates(command: string, env: readonly string[]): string[] {
  if (command.includes("/")) return [command]
  const path = env.find((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH
  return [...new Set(path.split(":").map((directory) => `${directory === "" ? "." : directory}/${command}`))]
}

/** Told at `create` what would fail at `start`; then the wait for it. */
const startSteps = ({ startFd, reportFd }: Facts, candidates: readonly string[]): Step[] =>
  startFd === undefined
    ? []
    : [
        ...(candidates.length > 0 ? [{ kind: "check-command", candidates } satisfies Step] : []),
        { kind: "sync", moment: MOMENT_READY, reportFd, fd: startFd },
      ]

/** Stage two, in order. */
export function sealedSteps(spec: Spec, facts: Facts): Step[] {
  const [command] = spec.process.args
  // A container without a process is never started.
  const candidates = command === undefined ? [] : execCandidates(command, spec.process.env)
  const { process } = spec
  const terminal = process.terminal ?? false
  const { uid, gid, additionalGids, umask } = process.user
  const capabilities = capabilitySteps(process, facts.lastCapability)
  const groupsMayStay = hasOwn(spec, "user") || facts.groupsMayStay === true
  const keepCapabilities = uid !== 0 && process.capabilities.permitted.length > 0
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, and so comes before the user and the capabilities: seccomp(2).
  const filter: Step[] = facts.seccomp ? [{ kind: "seccomp", ...facts.seccomp }] : []
  const early = process.noNewPrivileges ? [] : filter
  const late = process.noNewPrivileges ? filter : []
  return [
    ...(terminal && uid !== 0 ? [{ kind: "own-terminal", uid } satisfies Step] : []),
    // As root: a directory that only root may enter is a valid working directory.
    { kind: "chdir", path: process.cwd },
    // As root: a user may have a few hundred keys only. What is in the caller's keyring is not the container's.
    ...(facts.keepKeyring ? [] : [{ kind: "session-keyring" } satisfies Step]),
    ...schedulingSteps(process),
    ...personalitySteps(spec),
    ...labelSteps(process),
    // Before a filter, as all that can be: a profile is made for the command, not for what goes before it.
    { kind: "umask", mask: umask ?? 0o022 },
    { kind: "default-signals" },
    // The bounding set needs CAP_SETPCAP, and so comes before the user and the other sets.
    ...capabilities.before,
    ...(facts.recordedFd === undefined
      ? []
      : [{ kind: "await-go", fd: facts.recordedFd, what: "record of it" } satisfies Step]),
    ...early,
    {
      kind: "user",
      uid,
      gid,
      groups: additionalGids,
      keepCapabilities,
      ...(groupsMayStay && additionalGids.length === 0 ? { groupsMayStay } : {}),
      ...(facts.keepsGroups ? { keepsGroups: true } : {}),
    },
    ...capabilities.after,
    // setresuid cleared it.
    ...(facts.parentDeathSignal ? [{ kind: "parent-death-signal", signal: SIGKILL } satisfies Step] : []),
    ...(process.noNewPrivileges ? [{ kind: "no-new-privileges" } satisfies Step] : []),
    // An init is under the filter, too: who traces it could have it make any call.
    ...(facts.init
      ? [...late, { kind: "init", reportFd: facts.reportFd, terminal } satisfies Step]
      : [{ kind: "session", terminal } satisfies Step]),
    ...startSteps(facts, candidates),
    { kind: "unblock-signals" },
    ...(facts.init ? [] : late),
    { kind: "exec", candidates, args: process.args, env: process.env },
  ]
}
