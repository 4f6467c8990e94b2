/** toybox generate: a container as a service of the machine. */
import { recover } from "../../container/recover.ts"
import { formatPolicy } from "../../container/restart-policy.ts"
import { DEFAULT_STOP_SECONDS, readHead, resolveId } from "../../container/state.ts"
import { readStored } from "../../container/stored-request.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { seconds } from "../flags/process.ts"
import { parseRestart, type Service, serviceWords } from "../service/command.ts"
import { openrcBootScript, openrcScript } from "../service/openrc.ts"
import { systemdBootUnit, systemdUnit } from "../service/systemd.ts"
import { GENERATE_OPTIONS } from "./generate-options.ts"

interface Kind {
  one: (service: Service) => string
  /** For all that have a restart policy. */
  boot: (executable: string, global: readonly string[]) => string
}

const KINDS: Readonly<Record<string, Kind>> = {
  systemd: { one: systemdUnit, boot: systemdBootUnit },
  openrc: { one: openrcScript, boot: openrcBootScript },
}

export async function generateCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, rest } = parseArgv(words, GENERATE_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("generate")
  const [kind = "", reference, ...more] = rest
  const generate = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  if (generate === undefined || more.length > 0)
    throw new UsageError("generate needs what to make, and a container or none", {
      hint: "toybox generate systemd|openrc NAME; without NAME for all that have a restart policy",
    })
  const time = strings.get("time")
  const root = (strings.get("root") ?? process.env.TOYBOX_ROOT) || undefined
  const paths = pathsFor(root)
  const global = root === undefined ? [] : [`--root=${paths.state}`]
  if (reference === undefined) {
    const given = ["restart-policy", "time"].find((name) => strings.has(name))
    if (given !== undefined) throw new UsageError(`--${given} needs a container`)
    print([generate.boot(process.execPath, global).trimEnd()])
    return 0
  }
  ensurePaths(paths)
  recover(paths)
  const id = resolveId(paths, reference)
  const head = readHead(paths, id)
  const stored = head && readStored(paths, id, head.name)
  const line = stored?.commandLine ?? null
  if (head === null || stored === null || line === null)
    throw new ToyboxError(`how container ${reference} was made is not known`, { hint: "make it with toybox run" })
  const policy = head.detached?.restart
  const text = generate.one({
    name: head.name,
    executable: process.execPath,
    global,
    run: serviceWords({ ...stored, words: line.words }),
    directory: line.directory,
    stopSeconds: time === undefined ? (head.stopSeconds ?? DEFAULT_STOP_SECONDS) : seconds("--time", time),
    stopSignal: head.stopSignal,
    restart: parseRestart(
      "--restart-policy",
      strings.get("restart-policy") ?? (policy ? formatPolicy(policy) : "on-failure"),
    ),
  })
  print([text.trimEnd()])
  return 0
}
