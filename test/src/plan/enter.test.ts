/** The plans of `create` and `exec`: what waits where, and when a process becomes visible in the container. */
import { describe, expect, test } from "bun:test"
import { type EnterFacts, enteredSteps, enteringSteps } from "../../../src/plan/enter.ts"
import { MOMENT_HOOKS, MOMENT_READY } from "../../../src/plan/facts.ts"
import { sealedSteps } from "../../../src/plan/identity.ts"
import { childSteps } from "../../../src/plan/index.ts"
import type { Step } from "../../../src/plan/steps.ts"
import { specOf } from "../spec/fixtures.ts"
import { factsFor } from "./fixtures.ts"

const kinds = (steps: readonly Step[]) => steps.map(({ kind }) => kind)

describe("the plan of create", () => {
  const spec = specOf({})

  test("waits for hooks after all mounts, before the host's root is left", () => {
    const steps = childSteps(spec, factsFor(spec, { awaitHooks: true }))
    const sync = steps.findIndex((step) => step.kind === "sync" && step.moment === MOMENT_HOOKS)
    expect(sync).toBeGreaterThan(kinds(steps).lastIndexOf("mount"))
    expect(sync).toBeLessThan(kinds(steps).indexOf("pivot-root"))
    expect(kinds(childSteps(spec, factsFor(spec)))).not.toContain("sync")
  })

  test("waits for its start behind all but the exec, and looks for the command before", () => {
    const all = sealedSteps(spec, factsFor(spec, { startFd: 17 }))
    const own = kinds(all)
    const sync = own.indexOf("sync")
    expect(all[sync]).toMatchObject({ moment: MOMENT_READY, fd: 17 })
    expect(own.indexOf("check-command")).toBe(sync - 1)
    for (const kind of ["capabilities", "user", "no-new-privileges", "session"] as const) {
      expect(own.indexOf(kind)).toBeLessThan(sync)
    }
    expect(own.slice(sync + 1).filter((kind) => kind !== "seccomp" && kind !== "unblock-signals")).toEqual(["exec"])
  })

  test("makes a session keyring unless the caller's is to be kept", () => {
    expect(kinds(sealedSteps(spec, factsFor(spec)))).toContain("session-keyring")
    expect(kinds(sealedSteps(spec, factsFor(spec, { keepKeyring: true })))).not.toContain("session-keyring")
  })

  test("moves the root where it may not be pivoted", () => {
    const own = kinds(childSteps(spec, factsFor(spec, { noPivot: true })))
    expect(own).toContain("move-root")
    expect(own).not.toContain("pivot-root")
  })
})

describe("a null device", () => {
  const stdio = [null, 1, null] as const
  const own = (steps: readonly Step[]) => steps.flatMap((step) => (step.kind === "null-device" ? [step.own] : []))

  test("is the container's own, or a new one where nobody knows what that is", () => {
    const spec = specOf({})
    expect(own(childSteps(spec, factsFor(spec, { stdio })))).toEqual([true])
    expect(own(childSteps(spec, factsFor(spec)))).toEqual([])
    const dev = { destination: "/dev", type: "bind", source: "/dev", options: [] }
    const given = {
      ...spec,
      mounts: [...spec.mounts.filter(({ destination }) => !destination.startsWith("/dev")), dev],
    }
    expect(own(childSteps(given, factsFor(given, { stdio })))).toEqual([false])
    const nodev = { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nodev"] }
    const closed = { ...spec, mounts: [...spec.mounts.filter(({ destination }) => destination !== "/dev"), nodev] }
    expect(own(childSteps(closed, factsFor(closed, { stdio })))).toEqual([false])
    const facts: EnterFacts = { ...factsFor(spec, { stdio }), pidFd: 40, namespaces: ["mount"] }
    expect(own(enteringSteps(spec, facts))).toEqual([false])
  })
})

describe("the plan of exec", () => {
  const facts = (noNewPrivileges: boolean): [ReturnType<typeof specOf>, EnterFacts] => {
    const spec = specOf({ noNewPrivileges })
    return [spec, { ...factsFor(spec), pidFd: 40, namespaces: ["mount", "pid", "network"] }]
  }

  test("enters nothing before the sealed stage: CVE-2019-5736, CVE-2016-9962", () => {
    const own = kinds(enteringSteps(...facts(true)))
    expect(own.at(-1)).toBe("seal")
    for (const kind of ["setns", "enter-namespaces", "enter-pid-namespace", "unshare"] as const) {
      expect(own).not.toContain(kind)
    }
  })

  test.each([true, false])(
    "shows itself in the pid namespace as late as can be (no_new_privs %p)",
    (noNewPrivileges) => {
      const own = kinds(enteredSteps(...facts(noNewPrivileges)))
      const visible = own.indexOf("enter-pid-namespace")
      expect(own[0]).toBe("enter-namespaces")
      expect(own.indexOf("capabilities")).toBeLessThan(visible)
      expect(own.indexOf("user")).toBeLessThan(visible)
      expect(own.indexOf("session")).toBe(visible + 1)
    },
  )

  test.each([
    ["all", { defaultAction: "SCMP_ACT_ERRNO", syscalls: [] }],
    ...["clone", "write", "exit_group"].map((name) => {
      const syscalls = [{ names: [name], action: "SCMP_ACT_NOTIFY" }]
      return [name, { defaultAction: "SCMP_ACT_ALLOW", syscalls }] as const
    }),
  ])("shows itself before a filter that would not allow it: %s", (_, profile) => {
    const [spec, entered] = facts(false)
    const strict = { ...spec, linux: { ...spec.linux, seccomp: profile } } as typeof spec
    const seccomp = { program: new Uint8Array(8), flags: 0 }
    const own = kinds(enteredSteps(strict, { ...entered, seccomp }))
    expect(own.indexOf("enter-pid-namespace")).toBe(own.indexOf("seccomp") - 1)
  })

  test("needs no second process where the pid namespace is the host's", () => {
    const [spec, entered] = facts(true)
    expect(kinds(enteredSteps(spec, { ...entered, namespaces: ["mount"] }))).not.toContain("enter-pid-namespace")
  })
})
