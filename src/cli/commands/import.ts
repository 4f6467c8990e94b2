/** toybox import. */
import { O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { isErrno } from "../../../ffi/errno.ts"
import { close, open, stat } from "../../../ffi/fs.ts"
import { isTerminal } from "../../../ffi/tty.ts"
import { readPatiently } from "../../copy/input.ts"
import { fileFault, needsRoot, ToyboxError, UsageError } from "../../errors.ts"
import { EMPTY_CONTAINER_CONFIG } from "../../image/config.ts"
import { recordImage } from "../../image/events.ts"
import { isAddress, parseAddress, withoutUserinfo } from "../../image/fetch/address.ts"
import { hostPlatform, parsePlatform } from "../../image/platform.ts"
import { type Progress, startProgress } from "../../image/progress.ts"
import { importRoot } from "../../image/store/import.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { applyChanges } from "../flags/changes.ts"
import { absolute } from "../image.ts"
import { newName } from "../new-name.ts"
import { untilEnded } from "../signals.ts"
import { sourceDate } from "../source-date.ts"
import { IMPORT_OPTIONS } from "./make-options.ts"

interface Input {
  bytes: AsyncIterable<Uint8Array>
  size: number | null
  close(): void
}

function openFile(word: string, signal: AbortSignal): Input {
  const path = absolute(word)
  let fd: number
  try {
    fd = open(path, O_RDONLY)
  } catch (cause) {
    const hint = isErrno(cause, "ENOENT") ? "give a file, an address, or - for standard input" : undefined
    throw new ToyboxError(`cannot read ${path}`, { cause: fileFault(cause), hint })
  }
  return { bytes: readPatiently(fd, signal), size: stat(`/proc/self/fd/${fd}`)?.size ?? null, close: () => close(fd) }
}

async function openAddress(address: string, ca: readonly string[], signal: AbortSignal): Promise<Input> {
  const { download } = await import("../../image/fetch/download.ts")
  const { trustedCertificates } = await import("../../image/fetch/trust.ts")
  const { url, authorization } = parseAddress(address)
  const found = await download(url, {
    certificates: url.protocol === "https:" || ca.length > 0 ? trustedCertificates(ca) : null,
    signal,
    ...(authorization === undefined ? {} : { headers: { authorization } }),
  })
  if (found === null) throw new ToyboxError(`${url.href}: the server says it is known, which it is not`)
  return { bytes: found.bytes, size: found.size, close: found.cancel }
}

async function* counted({ bytes }: Input, progress: Progress, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const part of bytes) {
    signal.throwIfAborted()
    progress.add(part.length)
    yield part
  }
}

export async function importCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, lists, rest } = parseArgv(words, IMPORT_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("import")
  const [from, reference, more] = rest
  if (from === undefined || more !== undefined)
    throw new UsageError("import takes an archive, and a name for the image", {
      hint: "toybox import FILE|URL|- [NAME[:TAG]]",
    })
  if (from === "-" && isTerminal(0))
    throw new UsageError("import reads an archive from standard input, which is a terminal")
  if (process.geteuid?.() !== 0) throw needsRoot("toybox import")
  const config = applyChanges(EMPTY_CONTAINER_CONFIG, lists.get("change") ?? [])
  const platform = strings.has("platform") ? parsePlatform(strings.get("platform") ?? "") : hostPlatform()
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const name = reference === undefined ? null : newName(paths, reference)
  const date = sourceDate()
  // The modes of unpacked files are meant as they stand.
  process.umask(0)
  const signal = untilEnded("import")
  const shown = isAddress(from) ? withoutUserinfo(from) : from === "-" ? "standard input" : from
  const progress = startProgress(shown, booleans.get("quiet") ?? false)
  let input: Input | null = null
  try {
    input = isAddress(from)
      ? await openAddress(from, lists.get("ca") ?? [], signal)
      : from === "-"
        ? { bytes: readPatiently(0, signal), size: null, close: () => {} }
        : openFile(from, signal)
    progress.restart(input.size)
    const record = await importRoot(paths, {
      name,
      shown,
      source: counted(input, progress, signal),
      document: { platform, created: new Date(date === null ? Date.now() : date * 1000).toISOString(), config },
      comment: strings.get("message") ?? `Imported from ${from === "-" ? "-" : shown}`,
      signal,
    })
    progress.done(`${shown}: imported`)
    recordImage(paths, "import", record)
    print([record.id])
    return 0
  } catch (error) {
    progress.stop()
    throw error
  } finally {
    input?.close()
  }
}
