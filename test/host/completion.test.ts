/** toybox completion, in the shells themselves; and toybox doctor. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"
import { terminal, terminalUnavailable } from "../helpers/tty.ts"

cleanUpAfterAll()

const environment = () => ({
  ...process.env,
  PATH: `${dirname(toyboxBinary())}:${process.env.PATH}`,
  TOYBOX_ROOT: stateRoot(),
  HOME: stateRoot(),
})

function nameContainer(name: string): void {
  mkdirSync(join(stateRoot(), "names"), { recursive: true })
  symlinkSync("0".repeat(64), join(stateRoot(), "names", name))
}

/** As far as its name goes. */
function makeNetwork(name: string): Disposable {
  const path = join(stateRoot(), "networks", `${name}.json`)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, JSON.stringify({ name }))
  return { [Symbol.dispose]: () => rmSync(path) }
}

/** What a shell offers for a line. */
const SHELLS: Record<string, (line: string) => string[]> = {
  bash: (line) => [
    "bash",
    "--norc",
    "-c",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's.
    'source <(toybox completion bash); COMP_LINE=$1; COMP_POINT=$(expr length "$1"); _toybox toybox; printf "%s\\n" "${COMPREPLY[@]}"',
    "bash",
    line,
  ],
  fish: (line) => [
    "fish",
    "--no-config",
    "-c",
    "toybox completion fish | source; complete -C $argv[1] | string replace -r '\\t.*' ''",
    line,
  ],
}

describe.each(Object.keys(SHELLS))("%s", (shell) => {
  test.skipIf(Bun.which(shell) === null)("completes commands, options and names", () => {
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, `web-${shell}.d`))
    writeFileSync(join(cwd, "with space"), "")
    const offered = (line: string, env: Record<string, string | undefined> = environment()) => {
      const cmd = ["timeout", "-k", "2", "20", ...(SHELLS[shell]?.(line) ?? [])]
      const { stdout, stderr } = Bun.spawnSync(cmd, { env, stdin: "ignore", cwd })
      expect(stderr.toString()).toBe("")
      return stdout.toString().trim().split("\n")
    }
    nameContainer(`web-${shell}`)
    expect(offered("toybox stat")).toEqual(["stats"])
    expect(offered("toybox ")).toContain("run")
    expect(offered("toybox run --memory-re")).toEqual(["--memory-reservation"])
    expect(offered(`toybox rm -f web-${shell.slice(0, 2)}`)).toEqual([`web-${shell}`])
    expect(offered(`toybox exec -u root web-${shell.slice(0, 2)}`)).toEqual([`web-${shell}`])
    expect(offered("toybox run ba")).toContain("base")
    using _ = makeNetwork("inner")
    const second = ["network cr", "volume l", "cache r", "generate s", "image li", "system d", "container sta"]
    const found = second.map((line) => offered(`toybox ${line}`).sort().join(" "))
    expect(found).toEqual(["create", "ls", "rm", "systemd", "list", "df", "start stats"])
    expect(offered("toybox network rm ")).toEqual(["inner"])
    expect(offered("toybox run --net ").sort()).toEqual(["bridge", "host", "inner", "none"])
    expect(offered("toybox run --restart un")).toEqual(["unless-stopped"])
    expect(offered("toybox run --pull ne").sort()).toEqual(["never", "newer"])
    expect(offered(`toybox cp web-${shell}`).sort()).toEqual([`web-${shell}.d/`, `web-${shell}:`])
    expect(offered("toybox cp wi").join("").replaceAll("\\", "")).toMatch(/^(with space)?$/)
    expect(offered(`toybox cp . web-${shell.slice(0, 2)}`)).toContain(`web-${shell}:`)
    const elsewhere = { ...environment(), TOYBOX_ROOT: undefined, HOME: undefined }
    expect(offered("toybox --debug netw", elsewhere)).toEqual(["network"])
    expect(offered(`toybox --root ${stateRoot()} rm web-${shell.slice(0, 2)}`, elsewhere)).toEqual([`web-${shell}`])
    expect(offered(`toybox rm --root=${stateRoot()} web-${shell.slice(0, 2)}`, elsewhere)).toEqual([`web-${shell}`])
    expect(offered(`toybox container stop web-${shell.slice(0, 2)}`)).toEqual([`web-${shell}`])
  })
})

const hasZsh = Bun.which("zsh") !== null && terminalUnavailable() === undefined

describe.skipIf(!hasZsh)("zsh", () => {
  test("completes at a terminal", async () => {
    const { HOME } = environment()
    const tty = await terminal({ cmd: ["zsh", "-f", "-i"], env: { HOME } })
    // The machine's own zshenv, which -f does not keep away, may set both anew.
    tty.send(`PATH="${dirname(toyboxBinary())}:$PATH"; PS1='re''ady> '`)
    tty.press("Enter")
    await tty.waitFor(/^ready>/m)
    tty.send("autoload -Uz compinit && compinit -u -D && source <(toybox completion zsh); echo load''ed")
    tty.press("Enter")
    await tty.waitFor(/^loaded$/m)
    tty.send("toybox docto")
    tty.press("Tab")
    await tty.waitFor("toybox doctor")
    tty.send(" --js")
    tty.press("Tab")
    await tty.waitFor("toybox doctor --json")
    tty.press("C-u")
    tty.send("toybox network disc")
    tty.press("Tab")
    await tty.waitFor("toybox network disconnect")
    tty.press("C-u")
    // With the path to come, and beside files.
    nameContainer("web-zsh")
    tty.send("toybox cp web-z")
    tty.press("Tab")
    await tty.waitFor("toybox cp web-zsh:")
    tty.send("/srv/x .")
    await tty.waitFor("toybox cp web-zsh:/srv/x .")
    tty.press("C-u")
    tty.send("toybox run --restart unl")
    tty.press("Tab")
    await tty.waitFor("toybox run --restart unless-stopped")
    await tty.close()
  }, 60_000)
})

test("an unknown shell is refused", async () => {
  expect(await toybox(["completion", "csh"])).toMatchObject({ exitCode: 125 })
})

test("the doctor looks at this machine", async () => {
  const { stdout, exitCode } = await toybox(["doctor", "--json"])
  const checks = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
  expect(checks.map(({ name }) => name)).toContain("cgroup")
  const isLacking = checks.some(({ state }) => state === "missing")
  expect(exitCode).toBe(isLacking ? 1 : 0)
  expect((await toybox(["doctor"])).stdout).toMatch(/^ok +kernel +\d/m)
})
