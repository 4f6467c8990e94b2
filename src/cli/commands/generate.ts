/** toybox generate: a container as a service of the machine. */
import { recover } from "../../container/recover.ts"
import { containerPath, readHead, resolveId } from "../../container/state.ts"
import type { StoredRequest } from "../../container/stored-request.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { readJson } from "../../state-file.ts"
import { parseArgv } from "../argv.ts"
import { parseRestart, type Service, serviceWords } from "../service/command.ts"
import { openrcScript } from "../service/openrc.ts"
import { systemdUnit } from "../service/systemd.ts"
import { GENERATE_OPTIONS } from "./generate-options.ts"

const KINDS: Readonly<Record<string, (service: Service) => string>> = { systemd: systemdUnit, openrc: openrcScript }

const DEFAULT_SECONDS = "10"

export async function generateCommand(words: readonly string[]): Promise<number> {
  const [kind = "", ...after] = words
  const isKind = Object.hasOwn(KINDS, kind)
  const { booleans, strings, rest } = parseArgv(isKind ? after : words, GENERATE_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("generate")
  const [reference, ...more] = rest
  const generate = isKind ? KINDS[kind] : undefined
  if (generate === undefined || reference === undefined || more.length > 0)
    throw new UsageError("generate needs what to make, and a container", {
      hint: "toybox generate systemd NAME, or toybox generate openrc NAME",
    })
  const time = strings.get("time") ?? DEFAULT_SECONDS
  if (!/^\d{1,6}$/.test(time)) throw new UsageError(`--time: "${time}" is no number of seconds`)
  const root = strings.get("root") ?? process.env.TOYBOX_ROOT
  const paths = pathsFor(root)
  ensurePaths(paths)
  recover(paths)
  const id = resolveId(paths, reference)
  const head = readHead(paths, id)
  const config = readJson<{ request: Partial<StoredRequest> }>(`${containerPath(paths, id)}/config.json`)
  const line = config?.request.commandLine ?? null
  if (head === null || line === null)
    throw new ToyboxError(`how container ${reference} was made is not known`, { hint: "make it with toybox run" })
  const text = generate({
    name: head.name,
    executable: process.execPath,
    global: root === undefined ? [] : [`--root=${paths.state}`],
    run: serviceWords(line.words),
    directory: line.directory,
    stopSeconds: Number(time),
    stopSignal: head.stopSignal,
    restart: parseRestart("--restart-policy", strings.get("restart-policy") ?? "on-failure"),
  })
  print([text.trimEnd()])
  return 0
}
