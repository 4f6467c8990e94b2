/** The six kinds of hooks: who, where, when. */
import { afterEach, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { bundleRoot, ociRuntime } from "../helpers/bundle.ts"
import { ownLeftovers } from "../helpers/own.ts"
import { makeRoot } from "../helpers/root.ts"
import { cleanUpAfterAll, scratch, temporaryDirectory } from "../helpers/scratch.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0
const KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const

describe.skipIf(!isRoot)("hooks", () => {
  const oci = ociRuntime()

  afterEach(async () => {
    for (const id of oci.entries()) oci.run("delete", "--force", id)
    expect(oci.entries()).toEqual([])
    expect(await ownLeftovers()).toEqual([])
  })

  const hook = (script: string, more = {}) => ({
    path: "/bin/sh",
    args: ["sh", "-c", script],
    env: ["PATH=/bin:/usr/bin", "X=y"],
    ...more,
  })

  test("run in their order, with the state on standard input, in the right namespaces", async () => {
    writeFileSync(join(bundleRoot(), "tmp/order"), "")
    const log = join(bundleRoot(), "tmp/order")
    const note = (kind: string, to: string) =>
      `echo ${kind} $X $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/pid) $(pwd) >>${to}; cat >${to.replace("order", kind)}`
    const hooks = Object.fromEntries(
      KINDS.map((kind) => [kind, [hook(note(kind, kind === "startContainer" ? "/tmp/order" : log))]]),
    )
    const bundle = oci.bundle("a", {
      args: ["sh", "-c", "echo command y $(readlink /proc/self/ns/mnt) >>/tmp/order; sleep 20"],
      config: { hooks },
    })
    const lines = () => readFileSync(log, "utf8").trim().split("\n")
    expect(oci.run("create", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stderr: "" })
    expect(lines().map((line) => line.split(" ")[0] ?? "")).toEqual(KINDS.slice(0, 3) as unknown as string[])
    const { pid } = oci.state("a")
    expect(oci.run("start", "a")).toMatchObject({ exitCode: 0, stderr: "" })
    for (let i = 0; i < 2000 && lines().length < 6; i++) await Bun.sleep(10)
    expect(oci.run("delete", "--force", "a").exitCode).toBe(0)
    const told = lines().map((line) => line.split(" "))
    const kinds = told.map(([kind]) => kind)
    // The command may come before poststart or behind it.
    expect(kinds.filter((kind) => kind !== "command")).toEqual([...KINDS])
    expect(kinds.indexOf("command")).toBeGreaterThan(kinds.indexOf("startContainer"))
    const own = Bun.spawnSync(["readlink", "/proc/self/ns/mnt"]).stdout.toString().trim()
    const inside = told.find(([kind]) => kind === "command")?.[2]
    const pidNamespace = told.find(([kind]) => kind === "startContainer")?.[3]
    for (const [kind = "", variable, mnt, pids, directory] of told) {
      expect(variable).toBe("y")
      const contained = kind === "createContainer" || kind === "startContainer" || kind === "command"
      expect([kind, mnt]).toEqual([kind, contained ? inside : own])
      if (kind === "createContainer") expect(pids).toBe(pidNamespace)
      if (kind !== "startContainer" && kind !== "command") expect(directory).toBe(bundle)
    }
    const states = Object.fromEntries(
      KINDS.map((kind) => [kind, JSON.parse(readFileSync(join(bundleRoot(), "tmp", kind), "utf8"))]),
    )
    for (const kind of ["prestart", "createRuntime"]) {
      expect(states[kind]).toMatchObject({ id: "a", status: "created", pid, bundle })
    }
    // As seen by the container.
    expect(states.createContainer).toMatchObject({ id: "a", status: "created", pid: 1, bundle })
    expect(states.startContainer).toMatchObject({ status: "created", pid: 1 })
    expect(states.poststart).toMatchObject({ status: "running", pid })
    expect(states.poststop).toMatchObject({ status: "stopped", id: "a" })
  })

  test("createContainer's are root of the container's user namespace", () => {
    const root = makeRoot()
    Bun.spawnSync(["chown", "-R", "-h", "100000:100000", root])
    // It comes to its files by path, as nobody in particular.
    for (const path of [scratch(), dirname(root)]) chmodSync(path, 0o755)
    const map = [{ containerID: 0, hostID: 100_000, size: 1000 }]
    const namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user"].map((type) => ({ type }))
    const hooks = { createContainer: [hook(`id -u >${root}/who; id -g >>${root}/who`)] }
    const mounts = [{ destination: "/proc", type: "proc", source: "proc" }]
    const linux = { namespaces, uidMappings: map, gidMappings: map }
    const bundle = oci.bundle("a", { args: ["cat", "/who"], linux, config: { hooks, mounts, root: { path: root } } })
    expect(oci.run("run", "-b", bundle, "a")).toMatchObject({ stdout: "0\n0\n", stderr: "", exitCode: 0 })
  })

  test("startContainer's have the container's environment if they name none", () => {
    const hooks = { startContainer: [{ path: "/bin/sh", args: ["sh", "-c", "env | sort >/tmp/variables"] }] }
    const process = { env: ["A=1", "PATH=/bin", "A=2"], user: { uid: 0, gid: 0 } }
    const bundle = oci.bundle("a", { args: ["cat", "/tmp/variables"], process, config: { hooks } })
    const { stdout, stderr } = oci.run("run", "-b", bundle, "a")
    const variables = stdout.split("\n").filter((line) => !/^(PWD|SHLVL|_)=/.test(line))
    expect({ variables, stderr }).toEqual({ variables: ["A=2", "HOME=/root", "PATH=/bin", ""], stderr: "" })
    expect(oci.run("create", "-b", bundle, "a").exitCode).toBe(0)
    expect(oci.run("start", "a")).toMatchObject({ stderr: "", exitCode: 0 })
    expect(readFileSync(join(bundleRoot(), "tmp/variables"), "utf8")).toContain("HOME=/root\n")
  })

  test("have the runtime's environment if they name none, and may ask it for the state", () => {
    const script = `echo "$TOYBOX_TEST_HOOK" >&2; ${toyboxBinary()} oci --root ${oci.root} state a >&2; exit 3`
    for (const kind of ["prestart", "createRuntime", "createContainer"]) {
      const hooks = { [kind]: [{ path: "/bin/sh", args: ["sh", "-c", script] }] }
      const bundle = oci.bundle("a", { config: { hooks } })
      const { stderr } = oci.runWith({ env: { TOYBOX_TEST_HOOK: "inherited" } }, "create", "-b", bundle, "a")
      expect(stderr).toContain("inherited")
      expect(stderr).toContain('"id": "a"')
    }
  })

  test("a container that is being created takes no signals", async () => {
    const hooks = { prestart: [hook("sleep 2")] }
    const bundle = oci.bundle("a", { args: ["sleep", "60"], config: { hooks } })
    const creating = Bun.spawn([toyboxBinary(), "oci", "--root", oci.root, "run", "-d", "-b", bundle, "a"])
    for (let i = 0; i < 1000 && oci.run("state", "a").exitCode !== 0; i++) await Bun.sleep(5)
    expect(oci.state("a").status).toBe("creating")
    expect(oci.run("kill", "a", "TERM")).toMatchObject({ exitCode: 1 })
    expect(oci.run("kill", "a", "TERM").stderr).toContain("container is being created: a")
    expect(await creating.exited).toBe(0)
    expect(oci.state("a").status).toBe("running")
    expect(oci.run("kill", "a", "0").exitCode).toBe(0)
  })

  test("may be many, of every kind", () => {
    const hooks = Object.fromEntries(KINDS.map((kind) => [kind, Array.from({ length: 12 }, () => hook("exit 0"))]))
    const bundle = oci.bundle("a", { args: ["echo", "ran"], config: { hooks } })
    expect(oci.run("run", "-b", bundle, "a")).toMatchObject({ exitCode: 0, stdout: "ran\n", stderr: "" })
  })

  test.each(["prestart", "createRuntime", "createContainer"])("%s that fails stops the creation", (kind) => {
    const stopped = join(temporaryDirectory(), "stopped")
    const hooks = { [kind]: [hook("echo because >&2; exit 3")], poststop: [hook(`touch ${stopped}`)] }
    const { exitCode, stderr } = oci.run("create", "-b", oci.bundle("a", { config: { hooks } }), "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`hook ${kind}: /bin/sh: exit status 3: because`)
    expect(oci.entries()).toEqual([])
    expect(existsSync(stopped)).toBe(true)
  })

  test("startContainer that fails stops the container", () => {
    const bundle = oci.bundle("a", { args: ["echo", "ran"], config: { hooks: { startContainer: [hook("exit 3")] } } })
    const created = oci.run("create", "-b", bundle, "a")
    const { exitCode, stderr } = oci.run("start", "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain("hook startContainer: /bin/sh: exit status 3")
    expect(oci.state("a").status).toBe("stopped")
    expect(created.later()).toBe("")
    expect(oci.run("run", "-b", bundle, "b")).toMatchObject({ exitCode: 1, stdout: "" })
  })

  test("startContainer's may see the container's end, which is told", () => {
    const config = {
      linux: { namespaces: ["network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })) },
      hooks: { startContainer: [hook(`kill -9 $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/'); sleep 0.3`)] },
    }
    expect(oci.run("create", "-b", oci.bundle("a", { args: ["echo", "ran"], config }), "a").exitCode).toBe(0)
    expect(oci.run("start", "a")).toMatchObject({
      exitCode: 1,
      stderr: "toybox: container a has ended before it was started\n",
    })
  })

  test("poststart and poststop that fail are told, and nothing more", () => {
    const hooks = { poststart: [hook("exit 3"), hook("exit 4")], poststop: [hook("exit 5")] }
    const { exitCode, stdout, stderr } = oci.run(
      "run",
      "-b",
      oci.bundle("a", { args: ["echo", "ran"], config: { hooks } }),
      "a",
    )
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "ran\n" })
    for (const message of [
      "poststart: /bin/sh: exit status 3",
      "poststart: /bin/sh: exit status 4",
      "poststop: /bin/sh: exit status 5",
    ])
      expect(stderr).toContain(message)
  })

  test.each(["createRuntime", "createContainer", "startContainer"])("%s is killed when its time is up", (kind) => {
    const hooks = { [kind]: [hook("exec sleep 30", { timeout: 1 })] }
    const start = performance.now()
    const { exitCode, stderr } = oci.run("run", "-b", oci.bundle("a", { config: { hooks } }), "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`hook ${kind}: /bin/sh has not ended within 1 s, and was killed`)
    expect(performance.now() - start).toBeLessThan(20_000)
  })

  test("one that cannot be run is named", () => {
    const hooks = { createRuntime: [{ path: "/no/such/hook" }] }
    const { exitCode, stderr } = oci.run("create", "-b", oci.bundle("a", { config: { hooks } }), "a")
    expect(exitCode).toBe(1)
    expect(stderr).toContain("hook createRuntime: cannot run /no/such/hook: ENOENT")
  })
})
