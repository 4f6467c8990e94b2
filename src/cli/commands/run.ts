/** toybox run. */
import { call } from "../../../ffi/call.ts"
import { readLink } from "../../../ffi/fs.ts"
import type { ContainerRequest } from "../../container/request.ts"
import { run } from "../../container/run.ts"
import { takeSignals } from "../../container/supervise.ts"
import { needsRoot } from "../../errors.ts"
import { BASE, ensureBase } from "../../image/base.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseLeading } from "../argv.ts"
import { type RunCommandRequest, readRequest } from "../request.ts"
import { RUN_OPTIONS } from "./run-options.ts"

/** Runs the command; returns the exit code. */
export async function runCommand(words: readonly string[]): Promise<number> {
  const signalFd = takeSignals()
  const argv = parseLeading(words, RUN_OPTIONS)
  if (argv.booleans.get("help")) {
    const { printUsage } = await import("../usage.ts")
    return printUsage("run")
  }
  try {
    return await runParsed(words, argv, signalFd)
  } catch (error) {
    const resultFd = argv.strings.get("result-fd") ?? ""
    if (/^[1-9]\d*$/.test(resultFd)) (await import("../../container/result-fd.ts")).tellFailure(Number(resultFd), error)
    throw error
  }
}

async function runParsed(words: readonly string[], argv: ParsedArgv, signalFd: number): Promise<number> {
  // The caller's umask is no business of the container, whose users must be able to enter its root and read its files.
  call("umask", 0o022)
  const paths = pathsFor(argv.strings.get("root") ?? process.env.TOYBOX_ROOT)
  const explain = argv.strings.get("explain")
  if (explain !== undefined) {
    const { explainRun } = await import("../../container/explain.ts")
    const request = await readRequest(argv, paths)
    if (request.fromStore) await (await import("../run-image.ts")).applyStored(request, argv, paths)
    const { archive, lower } = request
    if (request.image === BASE) {
      const { baseInMemory } = await import("../../image/base-in-memory.ts")
      return explainRun(request, paths, explain, [], await baseInMemory(paths.bases))
    }
    if (archive === null) return explainRun(request, paths, explain, [])
    const { archiveLines, futureRoot } = await import("../../image/explain.ts")
    const lines = archiveLines(archive, paths, lower === "" ? null : lower)
    return explainRun({ ...request, lower: lower === "" ? futureRoot(paths) : lower }, paths, explain, lines)
  }
  if (process.geteuid?.() !== 0) throw needsRoot("toybox run")
  if (argv.booleans.get("trace")) (await import("../../launch/trace.ts")).traceThisProcess()
  const request = await obtainRequest(words, argv, paths, signalFd)
  const start = () => startRequest(request, paths, signalFd)
  const begin = async () =>
    // Last, so that what is replaced goes on where the new one cannot be made.
    argv.booleans.get("replace")
      ? (await import("../../container/replace.ts")).replacing(paths, request.name, start)
      : start()
  const { removedImage } = request
  return removedImage === undefined
    ? begin()
    : (await import("../left-image.ts")).withoutImage(paths, removedImage, begin)
}

async function startRequest(request: ContainerRequest, paths: Paths, signalFd: number): Promise<number> {
  if (request.detached && request.foreground)
    return (await import("../../container/attached.ts")).runAttached(request, paths, signalFd)
  if (request.detached) {
    const { runDetached } = await import("../../container/detached.ts")
    print([await runDetached(request, paths)])
    return 0
  }
  return run(request, paths, signalFd)
}

/** Reads the command line of `run`, and brings here what it needs. */
export async function obtainRequest(
  words: readonly string[],
  argv: ParsedArgv,
  paths: Paths,
  signalFd: number,
): Promise<RunCommandRequest> {
  const request = await readRequest(argv, paths)
  request.commandLine = { words, directory: readLink("/proc/self/cwd") ?? "/" }
  ensurePaths(paths)
  if (request.image === BASE) await ensureBase(paths.bases)
  const before = performance.now()
  if (request.archive && request.lower === "") {
    const { unpackedRoot } = await import("../unpack.ts")
    request.lower = await unpackedRoot(request.archive, paths, request.quiet, signalFd)
  }
  if (request.archive && !request.autoRemove) (await import("../../image/cache/layers.ts")).settleLayer(request.lower)
  if (request.fromStore) await (await import("../run-image.ts")).applyObtained(request, argv, paths, signalFd)
  if (request.archive || request.fromStore) request.obtainedMs = Math.round(performance.now() - before)
  return request
}
