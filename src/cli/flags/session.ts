/** How the caller is connected with a container, and who else is told of it: --attach, --sig-proxy, --preserve-fds, --pidfile. */
import { isDirectory, stat } from "../../../ffi/fs.ts"
import { guardPassed, type PassedFds } from "../../container/passed-fds.ts"
import type { StreamName } from "../../container/stdio.ts"
import { UsageError } from "../../errors.ts"
import type { ParsedArgv } from "../argv.ts"
import { preservedDescriptors } from "./descriptors.ts"
import type { RareOptions } from "./none.ts"
import { normalPath } from "./path.ts"

const STREAMS: readonly StreamName[] = ["stdin", "stdout", "stderr"]

/** --attach, docker's: these streams only; standard input also by -i. */
function attachOption({ lists, booleans, typed }: ParsedArgv): { attach?: readonly StreamName[] } {
  const asked = lists.get("attach")
  if (asked === undefined) return {}
  const option = typed.get("attach") ?? "--attach"
  if (booleans.get("detach") && typed.has("detach"))
    throw new UsageError(`${option} and ${typed.get("detach")} exclude each other`)
  const attach = asked.map((text) => {
    const name = STREAMS.find((stream) => stream === text.toLowerCase())
    if (name === undefined) throw new UsageError(`${option}: "${text}" is no stream (use stdin, stdout or stderr)`)
    return name
  })
  return { attach: booleans.get("interactive") ? [...attach, "stdin"] : attach }
}

function pidFile(path: string | undefined): { pidFile?: string } {
  if (path === undefined) return {}
  const pidFile = normalPath(path.startsWith("/") ? path : `${process.cwd()}/${path}`)
  if (path === "" || !isDirectory(stat(pidFile.slice(0, pidFile.lastIndexOf("/")) || "/")))
    throw new UsageError(`--pidfile: "${path}": there is no such directory`)
  return { pidFile }
}

function passedFds({ strings, booleans }: ParsedArgv): { passedFds?: PassedFds } {
  const text = strings.get("preserve-fds")
  if (text === undefined) return {}
  if (booleans.get("detach"))
    throw new UsageError("--preserve-fds needs a container of the foreground, which is given the descriptors at once")
  return { passedFds: guardPassed(preservedDescriptors(text)) }
}

/** Reads them. Throws UsageError. */
export const sessionOptions = (argv: ParsedArgv): RareOptions["others"] => ({
  ...attachOption(argv),
  ...(argv.booleans.get("sig-proxy") === false ? { ignoresSignals: true } : {}),
  ...pidFile(argv.strings.get("pidfile")),
  ...passedFds(argv),
})
