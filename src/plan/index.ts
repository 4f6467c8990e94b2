/** spec + facts → the plan: the one documented order. Pure. */
import { MS_PRIVATE, MS_REC } from "../../ffi/constants/mount.ts"
import { SIGKILL } from "../../ffi/constants/signal.ts"
import type { Namespace, Spec } from "../oci/runtime.ts"
import { type Facts, JOIN_ORDER, keptBySealed, MOMENT_HOOKS } from "./facts.ts"
import { propagationFlag } from "./mount-options.ts"
import { deviceSteps, hiddenSteps, mountSteps, takeSteps } from "./mounts.ts"
import type { Step } from "./steps.ts"

function cloneStep(namespaces: readonly Namespace[], facts: Facts): Step {
  const pid = namespaces.find((ns) => ns.type === "pid" && ns.path !== undefined)
  return {
    kind: "clone",
    // The cgroup namespace comes later, from inside the cgroup: the other order shows toybox's own as the root.
    namespaces: namespaces.filter((ns) => ns.path === undefined && ns.type !== "cgroup").map((ns) => ns.type),
    ...(facts.cgroup.fd === undefined ? {} : { cgroupFd: facts.cgroup.fd }),
    ...(pid?.path === undefined ? {} : { pidNamespaceFd: facts.namespaceFds.get(pid.path) ?? -1 }),
  }
}

function joinSteps(namespaces: readonly Namespace[], facts: Facts): Step[] {
  return JOIN_ORDER.flatMap((type): Step[] => {
    const path = namespaces.find((ns) => ns.type === type)?.path
    return path === undefined ? [] : [{ kind: "setns", namespace: type, path, fd: facts.namespaceFds.get(path) ?? -1 }]
  })
}

/** New and not joined: its settings are this container's to make. */
const isNew = (spec: Spec, type: Namespace["type"]) =>
  spec.linux.namespaces.some((ns) => ns.type === type && ns.path === undefined)

function settingSteps(spec: Spec): Step[] {
  return [
    ...(spec.hostname !== undefined && isNew(spec, "uts")
      ? [{ kind: "hostname", name: spec.hostname } satisfies Step]
      : []),
    ...(spec.domainname !== undefined && isNew(spec, "uts")
      ? [{ kind: "domainname", name: spec.domainname } satisfies Step]
      : []),
    ...(isNew(spec, "network") ? [{ kind: "loopback" } satisfies Step] : []),
    ...Object.entries(spec.linux.sysctl).map(([key, value]): Step => ({ kind: "sysctl", key, value })),
  ]
}

function leaveHost(spec: Spec, facts: Facts): Step[] {
  const propagation =
    spec.linux.rootfsPropagation === undefined ? undefined : propagationFlag(spec.linux.rootfsPropagation)
  return [
    ...(spec.root.readonly ? [{ kind: "readonly-root" } satisfies Step] : []),
    facts.noPivot || (facts.unpivotable && !facts.chrooted)
      ? { kind: "move-root", detach: facts.unpivotable ?? [] }
      : { kind: "pivot-root", chrooted: facts.chrooted },
    ...(propagation ? [{ kind: "root-propagation", flags: propagation | MS_REC } satisfies Step] : []),
  ]
}

function stdioSteps(spec: Spec, facts: Facts): Step[] {
  const { stdio } = facts
  if (!("socketFd" in stdio)) return [{ kind: "stdio", fds: stdio }]
  const { height, width } = spec.process.consoleSize ?? { height: 0, width: 0 }
  return [{ kind: "console", height, width, socketFd: stdio.socketFd }]
}

/** Stage one, in order: everything but who the command is (identity.ts), which may be found out meanwhile. */
export function childSteps(spec: Spec, facts: Facts): Step[] {
  const { namespaces } = spec.linux
  const mounts = mountSteps(spec, facts)
  const passedOn = [...keptBySealed(facts), ...(facts.passedFds ?? [])]
  const ownStdio = "socketFd" in facts.stdio ? [facts.stdio.socketFd] : facts.stdio
  return [
    cloneStep(namespaces, facts),
    { kind: "close-other-fds", keep: [...passedOn, ...ownStdio, facts.memfd, facts.goFd, ...facts.stageOneFds] },
    ...(facts.parentDeathSignal ? [{ kind: "parent-death-signal", signal: SIGKILL } satisfies Step] : []),
    { kind: "umask", mask: 0 },
    ...facts.cgroup.join.map((path): Step => ({ kind: "join-cgroup", path })),
    ...joinSteps(namespaces, facts),
    ...(isNew(spec, "cgroup") ? [{ kind: "unshare", namespace: "cgroup" } satisfies Step] : []),
    ...(spec.process.oomScoreAdj === undefined
      ? []
      : [{ kind: "oom-score", value: spec.process.oomScoreAdj } satisfies Step]),
    ...takeSteps(mounts),
    // Nothing mounted from here on may show on the host.
    { kind: "propagation", flags: MS_PRIVATE | MS_REC, chrooted: facts.chrooted },
    { kind: "attach-root", path: facts.rootMountPoint },
    ...mounts,
    ...deviceSteps(spec),
    // Before the masks: a sysctl may lie under a read-only path.
    ...settingSteps(spec),
    ...facts.rootFiles,
    ...hiddenSteps(spec, facts),
    ...stdioSteps(spec, facts),
    ...(facts.awaitHooks
      ? [{ kind: "sync", moment: MOMENT_HOOKS, reportFd: facts.reportFd, fd: facts.goFd } satisfies Step]
      : []),
    ...leaveHost(spec, facts),
    ...spec.process.rlimits.map((limit): Step => ({ kind: "rlimit", ...limit })),
    { kind: "await-go", fd: facts.goFd },
    { kind: "seal", memfd: facts.memfd, keep: passedOn },
  ]
}
