/** toybox info and version, against what the machine itself says. */
import { afterEach, describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { version } from "../../package.json"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"
import { stateRoot, toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()

const output = (...args: string[]) => Bun.spawnSync(args).stdout.toString().trim()

test("version: in words, and for scripts", async () => {
  for (const words of [["version"], ["--version"], ["-v"]])
    expect(await toybox(words)).toMatchObject({ stdout: `toybox ${version}\n`, stderr: "", exitCode: 0 })
  const facts = JSON.parse((await toybox(["version", "--json"])).stdout)
  expect(facts).toMatchObject({ Version: version, Os: "linux", KernelVersion: output("uname", "-r") })
  expect(["amd64", "arm64"]).toContain(facts.Arch)
  expect((await toybox(["version", "-f", "{{.Server.Version}} {{.Os}}"])).stdout).toBe(`${version} linux\n`)
})

test.each(["info", "version"])("%s takes no arguments", async (command) => {
  const { stderr, exitCode } = await toybox([command, "more"])
  expect(exitCode).toBe(125)
  expect(stderr).toContain('takes no arguments, but got "more"')
})

describe.skipIf(process.getuid?.() !== 0)("info", () => {
  const info = async () => JSON.parse((await toybox(["info", "--json"])).stdout)

  afterEach(async () => {
    await toybox(["rm", "--all", "--force"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("counts containers by what they do", async () => {
    await toybox(["rm", "--all", "--force"])
    const images = (await toybox(["images", "-q"])).stdout.split("\n").filter(Boolean)
    expect(await info()).toMatchObject({ Containers: 0, Images: images.length })
    expect((await toybox(["info", "--format", "{{.Containers}} {{.ServerVersion}}"])).stdout).toBe(`0 ${version}\n`)
    await toybox(ownRun("--name", "info-over", "base", "true"))
    for (const name of ["info-on", "info-held"]) await toybox(ownRun("-d", "--name", name, "base", "sleep", "1000"))
    await toybox(["pause", "info-held"])
    expect(await info()).toMatchObject({
      Containers: 3,
      ContainersRunning: 1,
      ContainersPaused: 1,
      ContainersStopped: 1,
    })
    const { stdout } = await toybox(["info"])
    expect(stdout).toContain("3 (1 running, 1 paused, 1 stopped)")
    await toybox(["unpause", "info-held"])
  })

  test("tells the machine apart", async () => {
    const found = await info()
    expect(found).toMatchObject({
      ServerVersion: version,
      Name: output("uname", "-n"),
      KernelVersion: output("uname", "-r"),
      Architecture: output("uname", "-m"),
      NCPU: navigator.hardwareConcurrency,
      CgroupVersion: existsSync("/sys/fs/cgroup/cgroup.controllers") ? "2" : "1",
      DockerRootDir: stateRoot(),
    })
    expect(found.MemTotal).toBe(Number(output("awk", "/^MemTotal:/ { print $2 }", "/proc/meminfo")) * 1024)
    const checks = (await toybox(["doctor", "--json"])).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    const lacks = checks.filter(({ state }) => state !== "ok").map(({ name }) => name)
    expect(found.Warnings.map((warning: string) => warning.split(":")[0])).toEqual(lacks)
  })
})
