/** toybox info, toybox version. */
import { release } from "node:os"
import { version } from "../../../package.json"
import { UsageError } from "../../errors.ts"
import { hostPlatform } from "../../image/platform.ts"
import { formatBytes } from "../../image/progress.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { infoOf } from "../info.ts"
import { shown } from "../table.ts"
import { INFO_OPTIONS, VERSION_OPTIONS } from "./info-options.ts"

type Info = ReturnType<typeof infoOf>

function lines(info: Info): string[] {
  const rows: [string, string | number][] = [
    ["Version", info.ServerVersion],
    [
      "Containers",
      `${info.Containers} (${info.ContainersRunning} running, ${info.ContainersPaused} paused, ${info.ContainersStopped} stopped)`,
    ],
    ["Images", info.Images],
    ["State directory", info.DockerRootDir],
    ["Storage driver", info.Driver],
    ["Cgroups", info.CgroupVersion === "" ? "none" : `v${info.CgroupVersion}, ${info.CgroupDriver}`],
    ["Security", info.SecurityOptions.map((option) => option.replace(/^name=/, "")).join("; ")],
    ["Machine", info.Name],
    ["System", info.OperatingSystem],
    ["Kernel", info.KernelVersion],
    ["Architecture", info.Architecture],
    ["Processors", info.NCPU],
    ["Memory", formatBytes(info.MemTotal)],
  ]
  const facts = rows.map(([name, value]) => `${`${name}:`.padEnd(17)}${shown(String(value))}`)
  const warnings = info.Warnings.map((warning) => `  ${shown(warning)}`)
  return warnings.length === 0 ? facts : [...facts, "Warnings (see toybox doctor):", ...warnings]
}

export async function infoCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, INFO_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("info")
  if (rest.length > 0) throw new UsageError(`info takes no arguments, but got "${rest[0]}"`)
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const info = infoOf(paths)
  const format = strings.get("format")
  if (format !== undefined) (await import("../template.ts")).printFormatted(format, [info], {})
  else print(booleans.get("json") ? [JSON.stringify(info)] : lines(info))
  return 0
}

export async function versionCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, VERSION_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("version")
  if (rest.length > 0) throw new UsageError(`version takes no arguments, but got "${rest[0]}"`)
  const { os, architecture } = hostPlatform()
  const facts = { Version: version, Os: os, Arch: architecture, KernelVersion: release(), BunVersion: Bun.version }
  const format = strings.get("format")
  if (format === undefined) print([booleans.get("json") ? JSON.stringify(facts) : `toybox ${version}`])
  // docker's has a client and a server; here they are one.
  else (await import("../template.ts")).printFormatted(format, [{ ...facts, Client: facts, Server: facts }], {})
  return 0
}
