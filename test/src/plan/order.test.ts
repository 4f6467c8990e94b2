import { describe, expect, test } from "bun:test"
import { encodeChild, encodeSteps } from "../../../src/launch/encode/index.ts"
import { sealedSteps } from "../../../src/plan/identity.ts"
import { childSteps } from "../../../src/plan/index.ts"
import type { Step } from "../../../src/plan/steps.ts"
import type { NamespaceMode, RunRequest } from "../../../src/spec/request.ts"
import { type Random, random } from "../cgroup/random.ts"
import { ROOT_USER, specOf } from "../spec/fixtures.ts"
import { factsFor, V1 } from "./fixtures.ts"

const MODES: readonly NamespaceMode[] = [{ mode: "private" }, { mode: "host" }, { mode: "container", pid: 7, id: "x" }]

function anyRequest({ chance, pick }: Random): Partial<RunRequest> {
  const types = ["pid", "ipc", "uts", "network", "cgroup", "time"] as const
  return {
    namespaces: Object.fromEntries(types.filter(() => chance(0.5)).map((type) => [type, pick(MODES)])),
    privileged: chance(0.2),
    readonlyRoot: chance(0.5),
    noNewPrivileges: chance(0.7),
    terminal: chance(0.3),
    ...(chance(0.5) ? { hostname: "box", domainname: "example" } : {}),
    ...(chance(0.3) ? { oomScoreAdj: -5 } : {}),
    capAdd: chance(0.4) ? ["CAP_NET_RAW"] : [],
    sysctl: chance(0.5) ? { "kernel.shmmax": "1" } : {},
    mounts: chance(0.5)
      ? [
          {
            destination: "/data",
            type: "bind",
            source: "/srv",
            options: ["rbind", pick(["rslave", "rprivate", "rro"])],
          },
        ]
      : [],
  }
}

interface Made {
  child: readonly Step[]
  sealed: readonly Step[]
}

function anyPlan(source: Random): Made {
  const { chance, pick } = source
  const request = anyRequest(source)
  const uid = pick([0, 1000])
  const spec = specOf(request, { ...ROOT_USER, user: { uid, gid: uid, additionalGids: [] } })
  const facts = factsFor(spec, {
    ...(chance(0.5) ? V1 : {}),
    ...(request.terminal ? { stdio: { socketFd: 14 } } : {}),
    unpivotable: chance(0.3) ? ["/proc"] : null,
    init: chance(0.3),
    parentDeathSignal: chance(0.8),
    ...(chance(0.8) ? { recordedFd: 15 } : {}),
  })
  return { child: childSteps(spec, facts), sealed: sealedSteps(spec, facts) }
}

const first = (steps: readonly Step[], ...kinds: Step["kind"][]) => steps.findIndex(({ kind }) => kinds.includes(kind))
const last = (steps: readonly Step[], ...kinds: Step["kind"][]) =>
  steps.findLastIndex(({ kind }) => kinds.includes(kind))

/** Every step of `before` comes ahead of every one of `after`. */
function ordered(steps: readonly Step[], before: readonly Step["kind"][], after: readonly Step["kind"][]): void {
  const [end, start] = [last(steps, ...before), first(steps, ...after)]
  if (end !== -1 && start !== -1 && end >= start) {
    throw new Error(`${before} after ${after}: ${steps.map(({ kind }) => kind).join(" ")}`)
  }
}

const MOUNTING: readonly Step["kind"][] = ["attach-root", "mount", "bind", "device", "console", "mask", "readonly-path"]

/** Pairs of which the first is always through before the second begins. */
const CHILD_ORDER: readonly (readonly [readonly Step["kind"][], readonly Step["kind"][]])[] = [
  [["clone"], ["close-other-fds"]],
  [["close-other-fds"], ["parent-death-signal"]],
  [["parent-death-signal"], ["umask", "join-cgroup", "setns", "unshare", "propagation"]],
  [["join-cgroup"], ["setns"]],
  [["setns", "unshare", "take-source"], ["propagation"]],
  [["propagation"], MOUNTING],
  [["attach-root"], ["mount", "bind"]],
  [
    ["mount", "bind"],
    ["mask-source", "mask", "readonly-path", "hostname"],
  ],
  [["sysctl"], ["mask-source", "mask", "readonly-path", "readonly-root"]],
  [["mask-source"], ["mask"]],
  [MOUNTING, ["pivot-root", "move-root"]],
  [["mkdir-in-root", "touch", "symlink"], ["readonly-root"]],
  [["readonly-root"], ["pivot-root", "move-root"]],
  [
    ["pivot-root", "move-root"],
    ["rlimit", "seal"],
  ],
  [["rlimit"], ["seal"]],
  [["await-go"], ["seal"]],
]

const SEALED_ORDER: typeof CHILD_ORDER = [
  // A filter is made for the command, and so is what its user may read.
  [["await-go"], ["user", "seccomp", "init", "exec"]],
  [["chdir"], ["user"]],
  [["session-keyring"], ["user", "seccomp"]],
  [["umask", "default-signals", "bounding-set"], ["seccomp"]],
  [["seccomp"], ["init", "exec"]],
  [["own-terminal"], ["user"]],
  [["bounding-set"], ["user", "capabilities"]],
  [["user"], ["capabilities", "parent-death-signal"]],
  [["capabilities"], ["no-new-privileges", "exec"]],
  [["parent-death-signal", "no-new-privileges", "umask", "default-signals", "init", "session"], ["exec"]],
]

test("the order that safety rests on holds for every plan (seed 10)", () => {
  const source = random(10)
  for (let round = 0; round < 500; round++) {
    const { child, sealed } = anyPlan(source)
    expect(child[0]?.kind).toBe("clone")
    expect(child.slice(-2).map(({ kind }) => kind)).toEqual(["await-go", "seal"])
    expect(sealed.at(-1)?.kind).toBe("exec")
    for (const [before, after] of CHILD_ORDER) ordered(child, before, after)
    for (const [before, after] of SEALED_ORDER) ordered(sealed, before, after)
    const at = (kind: Step["kind"]) => sealed.findIndex((step) => step.kind === kind)
    // seccomp(2): with no_new_privs set or CAP_SYS_ADMIN; the former as late as can be.
    if (at("seccomp") >= 0 && at("no-new-privileges") >= 0)
      expect(at("seccomp")).toBeGreaterThan(at("no-new-privileges"))
    else if (at("seccomp") >= 0) expect(at("seccomp")).toBeLessThan(at("user"))
  }
})

test("every plan leaves the host's root in one way, and drops what it has to (seed 11)", () => {
  const source = random(11)
  for (let round = 0; round < 200; round++) {
    const { child, sealed } = anyPlan(source)
    const count = (steps: readonly Step[], ...kinds: Step["kind"][]) =>
      steps.filter(({ kind }) => kinds.includes(kind)).length
    expect(count(child, "pivot-root", "move-root")).toBe(1)
    expect(count(child, "propagation")).toBe(1)
    for (const kind of ["bounding-set", "user", "capabilities", "default-signals"] as const)
      expect(count(sealed, kind)).toBe(1)
    expect(count(sealed, "init", "session")).toBe(1)
    // setresuid(2) clears the death signal: whoever has it in stage one needs it again.
    expect(count(sealed, "parent-death-signal")).toBe(count(child, "parent-death-signal"))
  }
})

test("jumps stay inside the list (seed 12)", () => {
  const source = random(12)
  for (let round = 0; round < 100; round++) {
    const { child } = anyPlan(source)
    const calls = encodeChild(child, 10)
    calls.forEach(({ jump }, index) => {
      if (jump) expect(index + 1 + jump.skip).toBeWithin(0, calls.length + 1)
    })
  }
})

describe("namespaces", () => {
  const kinds = (changes: Partial<RunRequest>) => {
    const spec = specOf({ hostname: "box", ...changes })
    return childSteps(spec, factsFor(spec))
  }
  const clone = (steps: readonly Step[]) => steps.find((step) => step.kind === "clone")

  test("the pid namespace is made by the clone, that of cgroups from inside the cgroup, the others by the child", () => {
    const steps = kinds({})
    expect(clone(steps)).toMatchObject({ namespaces: ["pid"], cgroupFd: 20 })
    expect(steps.filter(({ kind }) => kind === "unshare")).toEqual([
      { kind: "unshare", namespaces: ["mount", "uts", "ipc", "network"] },
      { kind: "unshare", namespaces: ["cgroup"] },
    ])
    expect(first(steps, "join-cgroup")).toBeLessThan(last(steps, "unshare"))
  })

  test("a joined pid namespace needs one more clone; the others are joined by fd, in the kernel's order", () => {
    const container: NamespaceMode = { mode: "container", pid: 7, id: "x" }
    const steps = kinds({
      namespaces: { network: container, pid: container, ipc: container, uts: container, cgroup: container },
    })
    const joined = steps.filter((step) => step.kind === "setns")
    expect(clone(steps)).toMatchObject({ namespaces: [], helper: { joins: [{ namespace: "pid" }] } })
    expect(joined.map(({ namespace }) => namespace)).toEqual(["ipc", "uts", "network", "cgroup"])
    for (const { fd } of joined) expect(fd).toBeGreaterThanOrEqual(30)
    expect(steps.filter(({ kind }) => kind === "unshare")).toEqual([{ kind: "unshare", namespaces: ["mount"] }])
    expect(first(steps, "loopback")).toBe(-1)
  })

  test("names are set in a namespace that is not the host's, the loopback in a new one only", () => {
    expect(first(kinds({ namespaces: { uts: { mode: "host" } } }), "hostname")).toBe(-1)
    expect(first(kinds({ namespaces: { network: { mode: "host" } } }), "loopback")).toBe(-1)
    expect(kinds({}).filter(({ kind }) => kind === "hostname" || kind === "loopback").length).toBe(2)
  })
})

test("a root that cannot be pivoted away from: moved first, then all else detached, then chroot", () => {
  const steps: Step[] = [{ kind: "move-root", detach: ["/var/lib", "/proc"] }]
  const calls = encodeSteps(steps, { report: -1, free: [] }).map(({ name, args }) =>
    name === "umount2" ? `umount2 ${args[0]}` : name,
  )
  // The state directory may be below a mount that is detached: the new root must have left it by then.
  expect(calls).toEqual(["fchdir", "mount", "umount2 /var/lib", "umount2 /proc", "chroot", "chdir"])
})
