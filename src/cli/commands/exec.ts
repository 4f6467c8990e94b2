/** toybox exec. */
import { call } from "../../../ffi/call.ts"
import { O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { close, open, stat, writeAll } from "../../../ffi/fs.ts"
import { parseDetachKeys } from "../../container/detach-keys.ts"
import { exec } from "../../container/exec.ts"
import type { PassedFds } from "../../container/passed-fds.ts"
import { takeSignals } from "../../container/supervise.ts"
import { UsageError } from "../../errors.ts"
import { notice, print } from "../../log.ts"
import { pathsFor, requireAccess } from "../../paths.ts"
import { type ParsedArgv, parseLeading } from "../argv.ts"
import { preservedDescriptors } from "../flags/descriptors.ts"
import { environment } from "../flags/process.ts"
import { workingDirectory } from "../request.ts"
import { EXEC_OPTIONS } from "./exec-options.ts"

type Environment = Record<string, string | undefined>

/**
 * What a toybox that stays as long as the command has of the caller's environment, which may be full of secrets: no more than
 * toybox itself looks at, and what the command is to have of it. What is no file of options can be read once only, and not here.
 */
function environmentOfOwn(argv: ParsedArgv): Environment {
  const files = argv.lists.get("env-file") ?? []
  if (files.some((path) => ((stat(path)?.mode ?? S_IFREG) & S_IFMT) !== S_IFREG)) return process.env
  const inherited = environment(argv).filter((entry) => entry === `${nameOf(entry)}=${process.env[nameOf(entry)]}`)
  return Object.fromEntries(["PATH", "TOYBOX_ROOT", ...inherited.map(nameOf)].map((name) => [name, process.env[name]]))
}

const nameOf = (entry: string) => entry.split("=", 1)[0] ?? ""

/** What toybox is called as by itself for `exec -d`. */
const DETACHED_EXEC = "exec-detached"

/**
 * Has a toybox of its own run the command, which stays until that ends: what a container's process leaves behind would
 * have to be reaped by an init outside of it, and not every one does. Returns when the command has been executed.
 */
async function execDetached(words: readonly string[], env: Environment): Promise<number> {
  const child = Bun.spawn({
    cmd: ["/proc/self/exe", DETACHED_EXEC, ...words],
    argv0: "toybox",
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [executed, told] = await Promise.all([child.stdout.bytes(), child.stderr.bytes()])
  writeAll(2, told)
  if (executed.length > 0) return 0
  return await child.exited
}

/** In that toybox: its output is a pipe until the command has been executed. */
export async function detachedExecCommand(words: readonly string[]): Promise<number> {
  call("setsid")
  const nothing = open("/dev/null", O_RDWR)
  return run(words, () => {
    writeAll(1, Uint8Array.of(1))
    for (const fd of [1, 2]) call("dup2", nothing, fd)
  })
}

/** What toybox is called as by itself for a command whose terminal one can let go of. */
const HELD_EXEC = "exec-held"
// Bun.spawn numbers them by their place.
const TOLD_FD = 3

/**
 * Has a toybox of its own be at the terminal, which stays until the command ends, also when it is let go of: then it says so,
 * and this one returns 0.
 */
async function execHeld(words: readonly string[], env: Environment): Promise<number> {
  const child = Bun.spawn({
    cmd: ["/proc/self/exe", HELD_EXEC, ...words],
    argv0: "toybox",
    env,
    stdio: ["inherit", "inherit", "inherit", "pipe"],
  })
  for (const signal of ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const)
    process.on(signal, () => child.kill(signal))
  const { done } = await Bun.file(child.stdio[TOLD_FD] ?? -1)
    .stream()
    .getReader()
    .read()
  if (!done) return 0
  await child.exited
  const { constants } = await import("node:os")
  return child.exitCode ?? 128 + constants.signals[(child.signalCode ?? "SIGKILL") as NodeJS.Signals]
}

/** In that toybox. */
export const heldExecCommand = (words: readonly string[]): Promise<number> =>
  run(words, null, () => {
    // The cursor is where the command's last line ends.
    print([""])
    notice("detached from the command, which goes on")
    const nothing = open("/dev/null", O_RDWR)
    for (const fd of [0, 1, 2]) call("dup2", nothing, fd)
    call("setsid")
    writeAll(TOLD_FD, Uint8Array.of(1))
    close(TOLD_FD)
  })

/** As --preserve-fds names them. Throws UsageError. */
async function passed(text: string): Promise<PassedFds> {
  const fds = preservedDescriptors(text)
  return (await import("../../container/passed-fds.ts")).guardPassed(fds)
}

/** Runs the command; returns its exit code. */
export const execCommand = (words: readonly string[]): Promise<number> => run(words, null)

async function run(
  words: readonly string[],
  detached: (() => void) | null,
  letGo: (() => void) | null = null,
): Promise<number> {
  const argv = parseLeading(words, EXEC_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("exec")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  const { rest } = booleans.get("latest") ? (await import("../chosen.ts")).withLatest(paths, argv) : argv
  const [container, ...args] = rest
  if (container === undefined)
    throw new UsageError("exec needs a container's name or id", { hint: "toybox ps lists them" })
  if (args.length === 0) throw new UsageError("exec needs a command to run in the container")
  if (args[0] === "") throw new UsageError("the command is empty")
  if (booleans.get("detach")) {
    const unfit = (["tty", "interactive"] as const).find((name) => booleans.get(name))
    if (strings.has("preserve-fds"))
      throw new UsageError("exec --preserve-fds does not go with --detach", { hint: "they are of this toybox" })
    if (unfit)
      throw new UsageError(`exec --${unfit} does not go with --detach`, { hint: "nobody could attach to it later" })
    if (!detached) return execDetached(words, environmentOfOwn(argv))
  }
  const keys = parseDetachKeys(strings.get("detach-keys") ?? "")
  if (keys.length > 0 && booleans.get("tty") && !letGo) {
    if (strings.has("preserve-fds"))
      throw new UsageError("--preserve-fds does not go with --detach-keys and a terminal")
    return execHeld(words, environmentOfOwn(argv))
  }
  const preserved = strings.get("preserve-fds")
  const passedFds = preserved === undefined ? null : await passed(preserved)
  const workdir = strings.get("workdir")
  const signalFd = takeSignals()
  requireAccess(paths)
  return exec(
    paths,
    container,
    {
      args,
      env: environment(argv),
      user: strings.get("user"),
      workdir: workdir === undefined ? undefined : workingDirectory(workdir),
      privileged: booleans.get("privileged") ?? false,
      terminal: booleans.get("tty") ?? false,
      interactive: booleans.get("interactive") ?? false,
      passedFds,
      letGo: letGo && { keys, done: letGo },
      detached,
    },
    signalFd,
  )
}
