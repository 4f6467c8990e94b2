import { replaceFile } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"

/** --pid-file, or what the option is called: the number alone, whole or not at all. Throws ToyboxError. */
export function writePidFile(path: string, pid: number, option = "--pid-file"): void {
  try {
    replaceFile(path, String(pid), 0o644)
  } catch (cause) {
    throw new ToyboxError(`${option}: cannot write ${path}`, { cause })
  }
}
