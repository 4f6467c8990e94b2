/** The options of `create` and `run` → a request. */
import { call, callResult } from "../../../ffi/call.ts"
import type { CreateRequest } from "../../container/oci/bring-up.ts"
import { UsageError } from "../../errors.ts"
import type { ParsedArgv } from "../argv.ts"
import type { OciContext } from "./context.ts"

const F_GETFD = 1

/**
 * The descriptors from 3 on that --preserve-fds and LISTEN_FDS name (sd_listen_fds(3)). Throws UsageError where one is not open;
 * what the caller passed on is not close-on-exec, what this process opened for itself is.
 */
export function passedDescriptors(preserve: string | undefined): { fds: number[]; env: string[] } {
  const count = (name: string, text: string | undefined) => {
    if (text === undefined || text === "") return 0
    if (!/^\d{1,4}$/.test(text)) throw new UsageError(`${name}: "${text}" is not a number of descriptors`)
    return Number(text)
  }
  const listen = count("LISTEN_FDS", process.env.LISTEN_FDS)
  const total = count("--preserve-fds", preserve) + listen
  const fds = Array.from({ length: total }, (_, i) => i + 3)
  for (const fd of fds) {
    if (callResult("fcntl", fd, F_GETFD, 0) !== 0) throw new UsageError(`--preserve-fds: descriptor ${fd} is not open`)
  }
  return { fds, env: listen > 0 ? [`LISTEN_FDS=${listen}`, "LISTEN_PID=1"] : [] }
}

/** The directory of a bundle, absolute and without symbolic links where it is given by none. */
function bundlePath(text: string | undefined): string {
  const directory = text ?? "."
  return directory.startsWith("/") ? directory.replace(/\/+$/, "") || "/" : resolve(directory)
}

const resolve = (path: string) =>
  path === "." ? process.cwd() : `${process.cwd()}/${path.replace(/^\.\//, "").replace(/\/+$/, "")}`

/** Throws UsageError. */
export function createRequest({ strings, booleans }: ParsedArgv, { root }: OciContext, id: string): CreateRequest {
  // The modes that toybox gives are meant as they stand, and the command gets its own mask.
  call("umask", 0o022)
  const { fds, env } = passedDescriptors(strings.get("preserve-fds"))
  return {
    root,
    id,
    bundle: bundlePath(strings.get("bundle")),
    consoleSocket: strings.get("console-socket"),
    passedFds: fds,
    env,
    pidFile: strings.get("pid-file"),
    noPivot: booleans.get("no-pivot") ?? false,
    noNewKeyring: booleans.get("no-new-keyring") ?? false,
  }
}
