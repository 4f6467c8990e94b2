/** The options of `create` and `run` → a request. */
import { call, callResult } from "../../../ffi/call.ts"
import { listDir, readLink, tryReadText } from "../../../ffi/fs.ts"
import type { CreateRequest } from "../../container/oci/bring-up.ts"
import { UsageError } from "../../errors.ts"
import type { ParsedArgv } from "../argv.ts"
import type { OciContext } from "./context.ts"

const F_GETFD = 1

/** The descriptors of this process's own event loop, which has no others by now: proc_pid_fdinfo(5), epoll. */
function ownDescriptors(): Set<number> {
  const own = new Set<number>()
  for (const name of listDir("/proc/self/fd")) {
    if (readLink(`/proc/self/fd/${name}`) !== "anon_inode:[eventpoll]") continue
    own.add(Number(name))
    const watched = tryReadText(`/proc/self/fdinfo/${name}`) ?? ""
    for (const [, fd] of watched.matchAll(/^tfd:\s*(\d+)/gm)) own.add(Number(fd))
  }
  return own
}

/**
 * The descriptors from 3 on that --preserve-fds and LISTEN_FDS name (sd_listen_fds(3)); of the latter those that are there.
 * Throws UsageError where one of the former is not open. FD_CLOEXEC says nothing: Bun sets it on all that it finds at its start.
 */
export function passedDescriptors(preserve: string | undefined): { fds: number[]; env: string[] } {
  const count = (name: string, text: string | undefined) => {
    if (text === undefined || text === "") return 0
    if (!/^\d{1,4}$/.test(text)) throw new UsageError(`${name}: "${text}" is not a number of descriptors`)
    return Number(text)
  }
  const preserved = count("--preserve-fds", preserve)
  const listen = count("LISTEN_FDS", process.env.LISTEN_FDS)
  if (preserved + listen === 0) return { fds: [], env: [] }
  const own = ownDescriptors()
  const isPassed = (fd: number) => callResult("fcntl", fd, F_GETFD, 0) >= 0 && !own.has(fd)
  const fds = Array.from({ length: preserved + listen }, (_, i) => i + 3)
  const missing = fds.findIndex((fd) => !isPassed(fd))
  if (missing >= 0 && missing < preserved) throw new UsageError(`--preserve-fds: descriptor ${missing + 3} is not open`)
  const passed = missing < 0 ? fds : fds.slice(0, missing)
  const there = passed.length - preserved
  return { fds: passed, env: there > 0 ? [`LISTEN_FDS=${there}`, "LISTEN_PID=1"] : [] }
}

/** The directory of a bundle, absolute: what is "." and ".." in it counts as it is read, not by links. */
export function bundlePath(text: string | undefined): string {
  const names: string[] = []
  for (const name of (text?.startsWith("/") ? text : `${process.cwd()}/${text ?? ""}`).split("/")) {
    if (name === "..") names.pop()
    else if (name !== "" && name !== ".") names.push(name)
  }
  return `/${names.join("/")}`
}

/** Throws UsageError. */
export function createRequest(
  { strings, booleans }: ParsedArgv,
  { root, noCgroup }: OciContext,
  id: string,
): CreateRequest {
  // The modes that toybox gives are meant as they stand, and the command gets its own mask.
  call("umask", 0o022)
  const { fds, env } = passedDescriptors(strings.get("preserve-fds"))
  return {
    root,
    id,
    bundle: bundlePath(strings.get("bundle")),
    configFile: strings.get("config"),
    noCgroup,
    consoleSocket: strings.get("console-socket"),
    passedFds: fds,
    env,
    pidFile: strings.get("pid-file"),
    noPivot: booleans.get("no-pivot") ?? false,
    noNewKeyring: booleans.get("no-new-keyring") ?? false,
  }
}
