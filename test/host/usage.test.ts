/** --help of every command: all its options are described, and its examples do what they say. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ArgDef } from "citty"
import { EXAMPLES } from "../../src/cli/examples.ts"
import { COMMANDS } from "../../src/cli/usage.ts"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeNamespace, type Namespace } from "../helpers/network.ts"
import { TestLayout, tarOf } from "../helpers/oci-layout.ts"
import { skopeoCopy, startRegistry, type TestRegistry } from "../helpers/registry.ts"
import { makeRoot } from "../helpers/root.ts"
import { dockerArchive } from "../helpers/saved.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const isRoot = process.getuid?.() === 0

describe.each(Object.entries(COMMANDS))("%s --help", (name, { args = {} }) => {
  test("describes every option, and shows every example", async () => {
    const { stdout, stderr, exitCode } = await toybox([name, "--help"])
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
    for (const [option, { type, description }] of Object.entries(args as Record<string, ArgDef>)) {
      expect(description ?? "").not.toBe("")
      expect(stdout).toContain(type === "positional" ? option.toUpperCase() : `--${option}`)
      expect(stdout.replace(/\s+/g, " ")).toContain((description ?? "").replace(/\s+/g, " "))
    }
    for (const example of EXAMPLES[name] ?? []) expect(stdout).toContain(`  ${example}\n`)
    expect((await toybox(["help", name])).stdout).toBe(stdout)
  })
})

test("--help has two dashes before long names, and tells what may be several", async () => {
  const { stdout } = await toybox(["update", "--help"])
  expect(stdout).toContain("update [OPTIONS] <CONTAINER…>")
  expect(stdout).toMatch(/^ +-m, --memory, --mem=<500M> /m)
  expect((await toybox(["logs", "--help"])).stdout).toContain("logs [OPTIONS] <CONTAINER>\n")
})

test.each(["", "run", "network", "oci", "oci create"])(
  "toybox %s --help fits a terminal of 80 columns",
  async (words) => {
    const { stdout } = await toybox([...words.split(" ").filter(Boolean), "--help"])
    const lines = stdout.split("\n")
    expect(lines.filter((line) => line !== line.trimEnd())).toEqual([])
    expect(lines.filter((line) => line.length > 80 && !line.startsWith("  toybox "))).toEqual([])
  },
)

test("--help has the descriptions below one another", async () => {
  const { stdout } = await toybox(["stop", "--help"])
  expect(stdout).toMatch(
    /^ {2}-l, --latest {21}The container made last\n.*\n {6}--cidfile=<FILE> {13}The container whose/m,
  )
})

test("toybox --help lists every command", async () => {
  const { stdout } = await toybox(["--help"])
  for (const name of Object.keys(COMMANDS)) expect(stdout).toMatch(new RegExp(`^ +${name} `, "m"))
  expect(Object.keys(EXAMPLES).filter((name) => !Object.hasOwn(COMMANDS, name))).toEqual([])
})

test("options of every command may stand before it", async () => {
  expect((await toybox(["--debug", "--version"])).stdout).toMatch(/^toybox \d/)
  expect((await toybox(["--help", "ps"])).stdout).toBe((await toybox(["ps", "--help"])).stdout)
  expect(await toybox(["--host", "tcp://x", "ps"])).toMatchObject({
    exitCode: 125,
    stderr: expect.stringContaining("--host"),
  })
})

test.skipIf(!isRoot)("docker's management commands are other words for the same", async () => {
  for (const [words, same] of [
    [
      ["image", "ls", "--help"],
      ["images", "--help"],
    ],
    [
      ["image", "rm", "--help"],
      ["rmi", "--help"],
    ],
    [
      ["container", "ls", "-a"],
      ["ps", "-a"],
    ],
    [
      ["container", "run", "--rm", "base", "echo", "x"],
      ["run", "--rm", "base", "echo", "x"],
    ],
    [
      ["system", "info", "--help"],
      ["info", "--help"],
    ],
    [
      ["image", "inspect", "nothere"],
      ["inspect", "--type", "image", "nothere"],
    ],
  ] as const)
    expect(await toybox(words)).toEqual(await toybox(same))
  expect((await toybox(["container", "lss"])).stderr).toMatch(/"lss" is not a command of container\n.*attach, commit/)
  expect((await toybox(["image"])).stderr).toContain("image needs a command")
})

test.skipIf(!isRoot)(
  "a group of docker's has its --help, and takes options of every command before its words",
  async () => {
    for (const words of [
      ["image", "--help"],
      ["help", "image"],
      ["--help", "image"],
    ]) {
      const { stdout, stderr, exitCode } = await toybox(words)
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 })
      expect(stdout).toMatch(/^ +ls +toybox images$/m)
      expect(stdout).toMatch(/^ +prune +toybox prune --only images$/m)
    }
    expect((await toybox(["--help"])).stdout).toMatch(/^ +image, container, system /m)
    const root = join(temporaryDirectory("before"), "state")
    const named = await toybox(["--root", root, "container", "create", "--quiet", "base", "true"])
    expect(named).toMatchObject({ stderr: "", exitCode: 0 })
    expect((await toybox(["container", "--root", root, "ls", "-aq", "--no-trunc"])).stdout).toBe(named.stdout)
    expect(await toybox([`--root=${root}`, "image", "ls", "-q"])).toMatchObject({ stderr: "", exitCode: 0 })
    expect(await toybox(["--root", root, "system", "prune", "--force"])).toMatchObject({ stderr: "", exitCode: 0 })
  },
)

test.skipIf(!isRoot)("the state directory may be named before the command", async () => {
  const root = join(temporaryDirectory("before"), "state")
  const named = await toybox(["--root", root, "create", "--quiet", "base", "true"])
  expect(named).toMatchObject({ stderr: "", exitCode: 0 })
  expect((await toybox([`--root=${root}`, "ps", "-aq", "--no-trunc"])).stdout).toBe(named.stdout)
  expect(await toybox(["--root", root, "run", "--rm", "base", "true"])).toMatchObject({ stderr: "", exitCode: 0 })
})

describe.skipIf(!isRoot)("the examples", () => {
  let registry: TestRegistry
  /** Plays the machine for what makes links and rules. */
  let namespace: Namespace
  let env: Record<string, string>
  let directory: string

  const shell = (line: string, within: (...command: string[]) => string[] = (...command) => command) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(within("bash", "-c", line), {
      env,
      cwd: directory,
      timeout: 60_000,
    })
    return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
  }

  beforeAll(async () => {
    registry = await startRegistry()
    namespace = await makeNamespace()
    directory = temporaryDirectory("examples")
    const [bin, state] = [temporaryDirectory("bin"), temporaryDirectory("state")]
    chmodSync(state, 0o700)
    symlinkSync(toyboxBinary(), join(bin, "toybox"))
    const nowhere = temporaryDirectory("home")
    env = {
      PATH: `${bin}:${process.env.PATH}`,
      TOYBOX_ROOT: state,
      TOYBOX_NETWORK: "none",
      HOME: nowhere,
      XDG_RUNTIME_DIR: nowhere,
      TOKEN: "x",
    }
    const layers = [tarOf(makeRoot({ files: { "etc/os-release": "NAME=test\n" } }))]
    writeFileSync(join(directory, "image.tar"), dockerArchive([{ layers, tags: ["alpine:latest"] }]))
    writeFileSync(join(directory, "notes.txt"), "notes\n")
    const layout = new TestLayout()
    layout.tags({ v1: layout.image({ layers }) })
    skopeoCopy(`oci:${layout.dir}:v1`, `docker://${registry.host}/team/app:1`)
  }, 60_000)

  afterAll(async () => {
    shell("toybox rm --all --force")
    await namespace.close()
    await registry.stop()
  })

  test.each(Object.entries(EXAMPLES))("of %s", (name, lines) => {
    // The same each time: an image, one that runs, one that is paused, one that has ended.
    for (const line of ["toybox rm --all --force", "toybox load --quiet -i image.tar"])
      expect({ line, ...shell(line) }).toMatchObject({ line, exitCode: 0, stderr: "" })
    const made = (name: string) => `toybox run -d --name ${name} base sleep 1000`
    expect(shell(`${made("web")} & ${made("paused")} && wait $!`)).toMatchObject({ exitCode: 0, stderr: "" })
    const ended = shell("toybox pause paused; toybox run --name job base sh -c 'exit 3'")
    expect(ended).toMatchObject({ exitCode: 3, stderr: "" })
    for (const line of lines) {
      const { exitCode, stderr } = shell(
        `set -o pipefail; ${line.replaceAll("registry.example", registry.host)}`,
        name === "network" ? namespace.within : undefined,
      )
      expect({ line, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ line, exitCode: 0, stderr: "" })
    }
    if (name === "load") expect(shell("toybox images -q").stdout).not.toBe("")
  })
})
