/** A process that joins a running container: which steps, and in which order. Pure. */
import type { NamespaceType, Spec } from "../oci/runtime.ts"
import type { Facts } from "./facts.ts"
import { keptBySealed } from "./facts.ts"
import { sealedSteps } from "./identity.ts"
import { affinitySteps } from "./process.ts"
import { givenFds, standardSteps } from "./stdio.ts"
import type { Step } from "./steps.ts"

/** What the plan needs to know of the container that is entered. */
export interface EnterFacts extends Facts {
  /** Names its first process, whose namespaces are joined. */
  pidFd: number
  /** Those that are not toybox's own. */
  namespaces: readonly NamespaceType[]
  /** Its root, where the mount namespace has another one. */
  rootFd?: number
}

/**
 * Stage one: nothing of the container is entered before stage two, which is all that a hostile process in it (with
 * CAP_SYS_PTRACE, say) can come to see.
 */
export function enteringSteps(spec: Spec, facts: EnterFacts): Step[] {
  const kept = [...keptBySealed(facts), ...(facts.passedFds ?? [])]
  const { stdio } = facts
  const own = "socketFd" in stdio ? [] : givenFds(stdio)
  return [
    { kind: "clone", namespaces: [], ...(facts.cgroup.fd === undefined ? {} : { cgroupFd: facts.cgroup.fd }) },
    { kind: "close-other-fds", keep: [...kept, ...own, facts.memfd, facts.goFd] },
    { kind: "umask", mask: 0 },
    ...affinitySteps(spec.process, "initial"),
    ...facts.cgroup.join.map((path): Step => ({ kind: "join-cgroup", path })),
    ...(spec.process.oomScoreAdj === undefined
      ? []
      : [{ kind: "oom-score", value: spec.process.oomScoreAdj } satisfies Step]),
    // What the container has made of its /dev is not looked at.
    ...("socketFd" in stdio ? [] : standardSteps(stdio, false)),
    // In the cgroup, whose processors these must be some of.
    ...affinitySteps(spec.process, "final"),
    ...spec.process.rlimits.map((limit): Step => ({ kind: "rlimit", ...limit })),
    { kind: "await-go", fd: facts.goFd, what: "second stage" },
    { kind: "seal", memfd: facts.memfd, keep: kept },
  ]
}

/** The calls by which a process leaves its place to its sibling: clone(2) is of one without new namespaces. */
const LEAVING = ["clone", "write", "exit_group"]

/** Whether a filter lets them pass. */
function allowsLeaving({ linux: { seccomp } }: Spec): boolean {
  if (!seccomp) return true
  const passing = (action: string) => action === "SCMP_ACT_ALLOW" || action === "SCMP_ACT_LOG"
  return LEAVING.every((name) => {
    const rules = seccomp.syscalls?.filter(({ names }) => names.includes(name)) ?? []
    return rules.length === 0 ? passing(seccomp.defaultAction) : rules.some(({ action }) => passing(action))
  })
}

/**
 * Stage two. The process becomes visible in the container's pid namespace as late as can be, with the capabilities that the
 * command gets: whoever may trace it there could have had more of an earlier one. Only a filter that would not allow it
 * comes behind it.
 */
export function enteredSteps(spec: Spec, facts: EnterFacts): Step[] {
  const own = sealedSteps(spec, facts)
  const visible = own.findIndex(({ kind }) => kind === "session" || (kind === "seccomp" && !allowsLeaving(spec)))
  const { height, width } = spec.process.consoleSize ?? { height: 0, width: 0 }
  return [
    { kind: "enter-namespaces", pidFd: facts.pidFd, namespaces: facts.namespaces },
    ...(facts.rootFd === undefined ? [] : [{ kind: "enter-root", fd: facts.rootFd } satisfies Step]),
    // A terminal of the namespace's root: nobody else could be given it.
    ...(facts.namespaces.includes("user") ? [{ kind: "become-root" } satisfies Step] : []),
    ...("socketFd" in facts.stdio
      ? [{ kind: "new-terminal", height, width, socketFd: facts.stdio.socketFd } satisfies Step]
      : []),
    ...own.slice(0, visible),
    ...(facts.namespaces.includes("pid")
      ? [{ kind: "enter-pid-namespace", reportFd: facts.reportFd } satisfies Step]
      : []),
    ...own.slice(visible),
  ]
}
