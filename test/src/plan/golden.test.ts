/**
 * Whole plans as people read them: each step with its shell form and its calls, against test/golden/plans. After a change
 * that is meant, UPDATE_GOLDEN=1 writes the files anew; the difference is for review.
 */
import { expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { formatCall } from "../../../ffi/format.ts"
import { encodeChild, encodeSealed } from "../../../src/launch/encode/index.ts"
import { readSpec } from "../../../src/oci/read.ts"
import type { Mount, Spec } from "../../../src/oci/runtime.ts"
import { overlayLayout } from "../../../src/overlay/layout.ts"
import { shellLines } from "../../../src/plan/describe.ts"
import type { Facts } from "../../../src/plan/facts.ts"
import { sealedSteps } from "../../../src/plan/identity.ts"
import { childSteps } from "../../../src/plan/index.ts"
import { sentence } from "../../../src/plan/sentence.ts"
import type { Step } from "../../../src/plan/steps.ts"
import { FULL } from "../oci/full.ts"
import { specOf } from "../spec/fixtures.ts"
import { factsFor, V1 } from "./fixtures.ts"

const GOLDEN = join(import.meta.dir, "../../golden/plans")
const LAYOUT = overlayLayout("/state/containers/ID")
const REPORT = 10

type Encode = (steps: readonly Step[]) => ReturnType<typeof encodeChild>

/** One text a step, under its list's title. */
function blocks(title: string, steps: readonly Step[], encode: Encode): string[] {
  const calls = encode(steps)
  const own = (index: number | undefined) =>
    calls.filter((call) => call.step === index).map((call) => `    ${formatCall(call)}`)
  const texts = steps.map((step, index) => {
    const shell = shellLines(step, { root: LAYOUT.merged }).map((line) => `  $ ${line}`)
    return [`${step.kind}: ${sentence(step)}`, ...shell, ...own(index)].join("\n")
  })
  return [[`== ${title}`, ...own(undefined)].join("\n"), ...texts]
}

const planBlocks = (spec: Spec, facts: Facts): string[] => [
  ...blocks("child", childSteps(spec, facts), (steps) => encodeChild(steps, REPORT)),
  ...blocks("sealed", sealedSteps(spec, facts), (steps) => encodeSealed(steps, REPORT, [REPORT])),
]

const USUAL = specOf({ hostname: "box" })
const usual = planBlocks(USUAL, factsFor(USUAL))
const asUsual = new Set(usual)

/** What is as in the usual plan is only named, in its place. */
const planText = (spec: Spec, facts: Facts): string =>
  planBlocks(spec, facts)
    .map((block) => (asUsual.has(block) && !block.startsWith("==") ? `${block.split("\n", 1)[0]}  (as usual)` : block))
    .join("\n")

function matchesGolden(name: string, text: string): void {
  const path = join(GOLDEN, `${name}.txt`)
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, `${text}\n`)
  expect(`${text}\n`).toBe(readFileSync(path, "utf8"))
}

const mount = (destination: string, type: string, source: string, ...options: string[]): Mount => ({
  destination,
  type,
  source,
  options,
})

test("run base sh, on cgroup v2", () => {
  matchesGolden("usual", usual.join("\n"))
})

test("a user with a terminal, an init and a working directory, on cgroup v1", () => {
  const spec = specOf(
    {
      hostname: "box",
      domainname: "example",
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      workdir: "/work",
      capAdd: ["CAP_NET_RAW"],
      args: ["id", "-u"],
      oomScoreAdj: 100,
    },
    { user: { uid: 1000, gid: 1000, additionalGids: [29, 50] }, env: ["PATH=/usr/bin:/bin", "TERM=xterm"] },
  )
  const rootFiles: Step[] = [{ kind: "mkdir-in-root", path: "/work" }]
  matchesGolden(
    "terminal-v1",
    planText(spec, factsFor(spec, { ...V1, stdio: { socketFd: 14 }, init: true, rootFiles })),
  )
})

test("volumes, tmpfs, a read-only root", () => {
  const spec = specOf({
    readonlyRoot: true,
    mounts: [
      mount("/data", "bind", "/srv/data dir", "rbind"),
      mount("/data/file", "bind", "/srv/file", "rbind", "rro", "nosuid"),
      mount("/shared", "bind", "/srv/shared", "rbind", "rslave"),
      mount("/cache", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "size=1048576", "mode=1777"),
    ],
  })
  matchesGolden("mounts", planText(spec, factsFor(spec)))
})

test("privileged, with the host's network and the namespaces of another container", () => {
  const spec = specOf({
    privileged: true,
    noNewPrivileges: false,
    namespaces: {
      network: { mode: "host" },
      cgroup: { mode: "host" },
      pid: { mode: "container", pid: 77, id: "other" },
      ipc: { mode: "container", pid: 77, id: "other" },
    },
  })
  const cgroupView = { mounts: [], links: [], hostPath: "/sys/fs/cgroup" }
  matchesGolden("privileged", planText(spec, factsFor(spec, { cgroupView })))
})

test("a bundle with all that an engine may ask for, in a user namespace", () => {
  const spec = readSpec(JSON.stringify(FULL), "/bundle")
  spec.mounts.push(
    mount("/var/up", "tmpfs", "tmpfs", "tmpcopyup"),
    mount("/layers", "overlay", "overlay", `lowerdir=${"/layer:".repeat(50)}/last`),
    mount("/proc", "none", "none", "remount", "ro"),
    mount("/link", "bind", "/srv/link", "bind", "copy-symlink"),
    mount("/shared", "bind", "/srv/shared", "rbind", "rshared"),
  )
  spec.linux.maskedPaths.push("/etc/secret")
  const facts = factsFor(spec, {
    stdio: { socketFd: 14 },
    startFd: 15,
    awaitHooks: true,
    parentDeathSignal: false,
    madeMounts: new Map(
      spec.mounts.flatMap((made) => {
        const fd = { "/data": 40, "/var/up": 41 }[made.destination]
        return fd === undefined ? [] : [[made, fd] as const]
      }),
    ),
  })
  const devices = spec.linux.devices.filter(({ type }) => type !== "p")
  const nodes = new Map(devices.map((device, i) => [device, String(i)] as const))
  const deviceSources = { fd: 42, nodes }
  const sources = new Map([...facts.sources, ["/srv/link", { directory: false, link: "target" }]])
  const present = new Map([...facts.present, ["/etc/secret", {}]])
  matchesGolden("bundle", planText(spec, { ...facts, sources, present, deviceSources }))
})

test("on the initial ramfs, which cannot be pivoted away from", () => {
  const spec = specOf()
  matchesGolden("ramfs", planText(spec, factsFor(spec, { unpivotable: ["/sys/fs/cgroup", "/dev", "/proc"] })))
})
