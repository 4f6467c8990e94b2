import { replaceFile } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"

/** --pid-file: the number alone, whole or not at all. Throws ToyboxError. */
export function writePidFile(path: string, pid: number): void {
  try {
    replaceFile(path, String(pid), 0o644)
  } catch (cause) {
    throw new ToyboxError(`--pid-file: cannot write ${path}`, { cause })
  }
}
