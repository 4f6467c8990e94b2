/** --tz: the time zone of a container, a copy of this machine's file over its /etc/localtime: tzfile(5). */
import { O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { isErrno } from "../../ffi/errno.ts"
import { close, open, readAll, writeFile } from "../../ffi/fs.ts"
import { UsageError } from "../errors.ts"
import { timeZoneMount } from "./files.ts"

const LARGEST = 1 << 20
const ZONES = "/usr/share/zoneinfo"

function bytesOf(path: string): Uint8Array {
  let fd: number
  try {
    fd = open(path, O_RDONLY)
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return new Uint8Array()
    throw error
  }
  try {
    return readAll(fd, LARGEST)
  } catch (error) {
    if (isErrno(error, "EISDIR")) return new Uint8Array()
    throw error
  } finally {
    close(fd)
  }
}

/** Where this machine has a zone, or its own ("local"), and what the file says. Throws UsageError where there is none. */
export function timeZoneFile(zone: string): { source: string; content: Uint8Array } {
  const isName = /^[\w+-]+(\/[\w+-]+)*$/.test(zone)
  const source = zone === "local" ? "/etc/localtime" : `${ZONES}/${zone}`
  const content = isName ? bytesOf(source) : new Uint8Array()
  if (new TextDecoder().decode(content.subarray(0, 4)) !== "TZif") {
    const hint = `names are those of files below ${ZONES} (Europe/Berlin), and local is this machine's own`
    throw new UsageError(`--tz: this machine has no time zone "${zone}"`, { hint })
  }
  return { source, content }
}

/** Writes the file that is bound over the image's. Throws UsageError. */
export function writeTimeZone(directory: string, zone: string): void {
  writeFile(timeZoneMount(directory).source, timeZoneFile(zone).content, 0o644)
}
