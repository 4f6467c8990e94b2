/** Files of JSON beside config.json that a caller names. */
import { O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { close, open, readAll } from "../../../ffi/fs.ts"
import { fileFault, ToyboxError } from "../../errors.ts"
import { parseJson } from "../../oci/decode.ts"

const MOST_BYTES = 1 << 20

/** What an option's file says, where `-` is standard input if the option has it so. Throws ToyboxError. */
export function readJsonFile(option: string, path: string, dash = false): unknown {
  const fromStdin = dash && path === "-"
  let fd = -1
  try {
    fd = fromStdin ? 0 : open(path, O_RDONLY)
    const bytes = readAll(fd, MOST_BYTES + 1)
    if (bytes.length > MOST_BYTES) throw new ToyboxError(`it is larger than ${MOST_BYTES} bytes`)
    return parseJson(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new ToyboxError(`${option}: cannot read ${fromStdin ? "standard input" : path}`, { cause: fileFault(cause) })
  } finally {
    if (fd > 0) close(fd)
  }
}
