/** spec + facts → the plan: the one documented order. Pure. */
import { MS_PRIVATE, MS_REC, MS_SLAVE } from "../../ffi/constants/mount.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import type { Spec } from "../oci/runtime.ts"
import { deviceSteps, hasOwnNull } from "./devices.ts"
import { type Facts, keptBySealed, MOMENT_HOOKS, MOMENT_NETWORK, type OpeningFacts } from "./facts.ts"
import { parseMountOptions, propagationFlag } from "./mount-options.ts"
import { hiddenSteps, mountSteps, readonlyMountSteps, takeSteps } from "./mounts.ts"
import { awaitMaps, becomeRootSteps, cloneStep, hasOwn, isNew, joinSteps, unshareSteps } from "./namespaces.ts"
import { givenFds, standardSteps } from "./stdio.ts"
import type { Step } from "./steps.ts"

const OF_LINKS = ["net.ipv4.conf.", "net.ipv6.conf.", "net.ipv4.neigh.", "net.ipv6.neigh."]

/** Settings of links, in containers that get theirs from the parent: there is nothing to be set before. */
const linkSysctls = (spec: Spec, { awaitsNetwork }: OpeningFacts): [string, string][] =>
  awaitsNetwork
    ? Object.entries(spec.linux.sysctl).filter(([key]) => OF_LINKS.some((prefix) => key.startsWith(prefix)))
    : []

/** Whether the child waits for another word of the parent's, when it is connected. */
export const awaitsLinks = (spec: Spec, facts: OpeningFacts): boolean => linkSysctls(spec, facts).length > 0

function settingSteps(spec: Spec, facts: OpeningFacts): Step[] {
  const late = linkSysctls(spec, facts)
  const keys = new Set(late.map(([key]) => key))
  const early = Object.entries(spec.linux.sysctl).filter(([key]) => !keys.has(key))
  return [
    ...(spec.hostname && hasOwn(spec, "uts") ? [{ kind: "hostname", name: spec.hostname } satisfies Step] : []),
    ...(spec.domainname && hasOwn(spec, "uts") ? [{ kind: "domainname", name: spec.domainname } satisfies Step] : []),
    ...(isNew(spec, "network") ? [{ kind: "loopback" } satisfies Step] : []),
    ...early.map(([key, value]): Step => ({ kind: "sysctl", key, value })),
    ...(late.length > 0 ? [{ kind: "await-go", fd: facts.goFd, what: "networks" } satisfies Step] : []),
    ...late.map(([key, value]): Step => ({ kind: "sysctl", key, value })),
  ]
}

/**
 * After the old root is left, since pivot_root(2) refuses a shared one. Of a whole tree ("rshared") all mounts but those
 * that have a propagation of their own.
 */
function rootPropagation({ linux: { rootfsPropagation = "" }, mounts }: Spec): Step[] {
  const flag = propagationFlag(rootfsPropagation)
  // Cut off from the host's they all are already.
  if (!flag || flag & (MS_PRIVATE | MS_SLAVE)) return []
  const step = (path: string, flags: number): Step => ({ kind: "root-propagation", flags, path })
  if (!rootfsPropagation.startsWith("r")) return [step("/", flag)]
  const others = mounts.filter(({ options }) => parseMountOptions(options).attributes.propagation === 0)
  if (others.length === mounts.length) return [step("/", flag | MS_REC)]
  return [step("/", flag), ...others.map(({ destination }) => step(destination, flag | MS_REC))]
}

function leavingStep(spec: Spec, { noPivot, unpivotable, chrooted }: Facts): Step {
  if (!isNew(spec, "mount")) return { kind: "enter-root" }
  if (noPivot || (unpivotable && !chrooted)) return { kind: "move-root", detach: unpivotable ?? [] }
  return { kind: "pivot-root", chrooted }
}

const leaveHost = (spec: Spec, facts: Facts): Step[] => [
  ...readonlyMountSteps(spec),
  ...(spec.root.readonly ? [{ kind: "readonly-root" } satisfies Step] : []),
  leavingStep(spec, facts),
  ...rootPropagation(spec),
]

function stdioSteps(spec: Spec, facts: Facts): Step[] {
  const { stdio } = facts
  // In a /dev of the host's there may be none, and the host's is not to be the command's. A user namespace could make no other.
  if (!("socketFd" in stdio)) return standardSteps(stdio, hasOwn(spec, "user") || hasOwnNull(spec))
  const { height, width } = spec.process.consoleSize ?? { height: 0, width: 0 }
  return [{ kind: "console", height, width, socketFd: stdio.socketFd }]
}

const passedOn = (facts: OpeningFacts) => [...keptBySealed(facts), ...(facts.passedFds ?? [])]

/**
 * Stage one up to where the child waits: what costs the kernel most, and needs the fewest facts. Meanwhile the parent finds out
 * the others, makes the cgroup, and lays out the rest.
 */
export function openingSteps(spec: Spec, facts: OpeningFacts): Step[] {
  const ownStdio = "socketFd" in facts.stdio ? [facts.stdio.socketFd] : givenFds(facts.stdio)
  return [
    cloneStep(spec, facts),
    { kind: "close-other-fds", keep: [...passedOn(facts), ...ownStdio, facts.memfd, facts.goFd, ...facts.stageOneFds] },
    ...(facts.parentDeathSignal ? [{ kind: "parent-death-signal", signal: SIGKILL } satisfies Step] : []),
    { kind: "umask", mask: 0 },
    ...unshareSteps(spec),
    ...(facts.awaitsNetwork ? [{ kind: "tell", moment: MOMENT_NETWORK, reportFd: facts.reportFd } satisfies Step] : []),
    ...facts.rootSteps,
    { kind: "await-go", fd: facts.goFd, what: "rest of the list" },
  ]
}

/** The root to its place, in mounts of the container's own where it has them: nothing mounted from there on shows on the host. */
function attachSteps(spec: Spec, { chrooted, rootMountPoint: path }: Facts, mounts: readonly Step[]): Step[] {
  if (!isNew(spec, "mount")) return [{ kind: "attach-root", path, apart: true }]
  return [
    ...takeSteps(mounts, spec),
    { kind: "propagation", flags: MS_PRIVATE | MS_REC, chrooted },
    { kind: "attach-root", path },
  ]
}

/** The rest of stage one. Who the command is (identity.ts) may still be found out meanwhile. */
export function furtherSteps(spec: Spec, facts: Facts): Step[] {
  const inUserNamespace = hasOwn(spec, "user")
  const mounts = mountSteps(spec, facts)
  return [
    ...facts.cgroup.join.map((path): Step => ({ kind: "join-cgroup", path })),
    ...joinSteps(spec, facts),
    // From inside the cgroup: the other order shows toybox's own as the root.
    ...(isNew(spec, "cgroup") ? [{ kind: "unshare", namespaces: ["cgroup"] } satisfies Step] : []),
    // From inside of a user namespace neither this nor a limit could be raised: the parent does both.
    ...(spec.process.oomScoreAdj === undefined || inUserNamespace
      ? []
      : [{ kind: "oom-score", value: spec.process.oomScoreAdj } satisfies Step]),
    // With its maps, and still as the host's user: so it gets through closed directories of either on the way to the root.
    ...awaitMaps(spec, facts),
    ...attachSteps(spec, facts, mounts),
    ...becomeRootSteps(spec),
    ...mounts,
    ...deviceSteps(spec, facts),
    // Before the masks: a sysctl may lie under a read-only path.
    ...settingSteps(spec, facts),
    ...facts.rootFiles,
    ...hiddenSteps(spec, facts),
    ...stdioSteps(spec, facts),
    ...(facts.awaitHooks
      ? [{ kind: "sync", moment: MOMENT_HOOKS, reportFd: facts.reportFd, fd: facts.goFd } satisfies Step]
      : []),
    ...leaveHost(spec, facts),
    ...(inUserNamespace ? [] : spec.process.rlimits.map((limit): Step => ({ kind: "rlimit", ...limit }))),
    { kind: "await-go", fd: facts.goFd, what: "second stage" },
    { kind: "seal", memfd: facts.memfd, keep: passedOn(facts) },
  ]
}

/** Stage one, in order: everything but who the command is. */
export const childSteps = (spec: Spec, facts: Facts): Step[] => [
  ...openingSteps(spec, facts),
  ...furtherSteps(spec, facts),
]
