/**
 * A layer unpacked in a toybox of its own: JavaScript has one thread, so that layers are unpacked beside each other, and beside
 * what fetches them, only there. What is fetched goes through a pipe; the outcome comes back as one line of JSON.
 */
import { write } from "node:fs"
import { promisify } from "node:util"
import { call, callResult } from "../../../ffi/call.ts"
import { F_SETPIPE_SZ } from "../../../ffi/constants/fcntl.ts"
import { PR_SET_PDEATHSIG } from "../../../ffi/constants/prctl.ts"
import { SIGKILL } from "../../../ffi/constants/signal.ts"
import { close } from "../../../ffi/fs.ts"
import { pipe } from "../../../ffi/pipe.ts"
import { errorChain, errorHint, ToyboxError } from "../../errors.ts"
import { print } from "../../log.ts"
import { BadBytes } from "../digest.ts"
import { readPipe } from "./read-file.ts"
import { type UnpackOptions, type UnpackResult, unpackLayer } from "./unpack.ts"

/** What toybox is called as by itself for it: `unpack-layer OPTIONS NICE`, the layer at standard input. */
const UNPACK_LAYER = "unpack-layer"

// Bun.spawn numbers descriptors by their place.
const HELD_FD = 3

// The most that everybody may ask for: pipe(7). The more there is in it, the less often the two wait for each other.
const PIPE_SIZE = 1024 * 1024

/** What can be told by JSON. */
type Options = Omit<UnpackOptions, "progress">

interface Failure {
  message: string
  hint?: string | undefined
  /** The bytes are not what they should be. */
  isBad: boolean
}

type Outcome = { result: UnpackResult } | { failure: Failure }

const writeSome = promisify(write)

/** Writes all; false where nobody reads any more. In a thread of Bun's pool: this one does not wait. */
async function writePart(fd: number, bytes: Uint8Array): Promise<boolean> {
  try {
    for (let done = 0; done < bytes.length; ) done += (await writeSome(fd, bytes, done)).bytesWritten
    return true
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EPIPE") return false
    throw error
  }
}

/** Null where it was killed before it could tell. */
function readOutcome(text: string): Outcome | null {
  try {
    return JSON.parse(text) as Outcome
  } catch {
    return null
  }
}

/** How it ended: what the loader, or Bun, could not begin exits with a code. */
const endOf = ({ signalCode, exitCode }: Bun.Subprocess): string =>
  signalCode === null ? `exited with code ${exitCode}` : `was ended by ${signalCode}`

/**
 * Waits for one thing after another, or the process's end: then it is null. It ends also where the source stands still, or no
 * thread can be made that writes. Promise.race would keep all that was waited for until then.
 */
function untilEnd(child: Bun.Subprocess): <Result>(awaited: Promise<Result>) => Promise<Result | null> {
  let over = false
  let give = () => {}
  void child.exited.then(() => {
    over = true
    give()
  })
  return (awaited) =>
    new Promise((resolve, reject) => {
      give = () => resolve(null)
      awaited.then(resolve, reject)
      if (over) give()
    })
}

/** How the other one is to be. */
export interface Apart {
  /** A descriptor that it has, too, as long as it lives: while that has a lock nobody takes the directory for abandoned. */
  held: number
  /** Its nice value, above this one's: nice(2). */
  nice: number
  /** Ends it at once. */
  signal: AbortSignal | undefined
}

/** As unpackLayer, and what was unpacked is on the disk when it returns. */
export async function unpackApart(
  source: AsyncIterable<Uint8Array>,
  options: Options,
  { held, nice, signal }: Apart,
): Promise<UnpackResult> {
  signal?.throwIfAborted()
  const [readEnd, writeEnd] = pipe()
  let written = Promise.resolve(true)
  let open = true
  // Not under a thread that is to write: it may have another file by then.
  const end = () => {
    const shut = () => close(writeEnd)
    if (open) void written.then(shut, shut)
    open = false
  }
  let child: Bun.Subprocess<number, "pipe", "inherit">
  try {
    callResult("fcntl", writeEnd, F_SETPIPE_SZ, PIPE_SIZE)
    child = Bun.spawn({
      cmd: ["/proc/self/exe", UNPACK_LAYER, JSON.stringify(options), String(nice)],
      argv0: "toybox",
      env: {},
      stdio: [readEnd, "pipe", "inherit", held],
      ...(signal ? { signal, killSignal: "SIGKILL" } : {}),
    })
  } catch (error) {
    end()
    throw new ToyboxError(`cannot start the process that unpacks ${options.name}`, { cause: error })
  } finally {
    close(readEnd)
  }
  try {
    const orEnd = untilEnd(child)
    for (const parts = source[Symbol.asyncIterator](); ; ) {
      const next = await orEnd(parts.next())
      if (next === null || next.done) break
      written = writePart(writeEnd, next.value)
      if (!(await orEnd(written))) break
    }
    end()
    const outcome = readOutcome(await child.stdout.text())
    await child.exited
    signal?.throwIfAborted()
    if (outcome === null)
      throw new ToyboxError(`cannot unpack ${options.name}: the process for it ${endOf(child)}`, {
        hint: "is there enough memory? dmesg tells",
      })
    if ("result" in outcome) return outcome.result
    const { message, hint, isBad } = outcome.failure
    throw new (isBad ? BadBytes : ToyboxError)(message, { hint })
  } finally {
    end()
    // What it has unpacked is about to be removed, or it has ended.
    child.kill("SIGKILL")
    await child.exited
  }
}

/** In that toybox. */
export async function unpackLayerCommand([options = "", nice]: readonly string[]): Promise<number> {
  call("prctl", PR_SET_PDEATHSIG, SIGKILL)
  // Without it the layers are only unpacked more evenly.
  callResult("nice", Number(nice))
  print([JSON.stringify(await outcomeOf(JSON.parse(options) as Options))])
  return 0
}

async function outcomeOf(options: Options): Promise<Outcome> {
  try {
    const result = await unpackLayer(readPipe(0), options)
    // Open since before anything was written: an error in writing it back, of which another may have been told, is told here, too.
    call("syncfs", HELD_FD)
    return { result }
  } catch (error) {
    return { failure: { message: errorChain(error), hint: errorHint(error), isBad: error instanceof BadBytes } }
  }
}
