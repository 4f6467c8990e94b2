/** --security-opt seccomp=…: the profile of system calls. */
import { O_NONBLOCK, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { close, open, readAll, readText, stat } from "../../../ffi/fs.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { parseJson } from "../../oci/decode.ts"
import { readProfile } from "../../security/seccomp/profile.ts"
import type { SeccompRequest } from "../../spec/request.ts"
import type { ParsedArgv } from "../argv.ts"

const MOST_BYTES = 4 * 1024 * 1024

function readFile(path: string): string {
  const found = stat(path)
  if (!found || (found.mode & S_IFMT) !== S_IFREG) {
    throw new UsageError(`--security-opt: seccomp=${path}: there is no such file`, {
      hint: "give a profile in docker's or the OCI's format, or seccomp=unconfined",
    })
  }
  const fd = open(path, O_RDONLY | O_NONBLOCK)
  try {
    const bytes = readAll(fd, MOST_BYTES + 1)
    if (bytes.length > MOST_BYTES)
      throw new UsageError(`--security-opt: seccomp=${path}: the file is larger than 4 MiB`)
    return new TextDecoder().decode(bytes)
  } finally {
    close(fd)
  }
}

function parse(path: string): unknown {
  const text = readFile(path)
  try {
    return parseJson(text)
  } catch (cause) {
    throw new ToyboxError(`${path}: the file is no JSON`, { cause })
  }
}

/** The running kernel's version: uname(2). */
function kernelVersion(): readonly [number, number] {
  const [major = 0, minor = 0] = readText("/proc/sys/kernel/osrelease")
    .split(".")
    .map((part) => Number.parseInt(part, 10))
  return [major, minor]
}

/** The last --security-opt seccomp=…; without one the default profile, and none for a privileged container. Throws ToyboxError. */
export function seccomp(argv: ParsedArgv): SeccompRequest | null {
  const given = (argv.lists.get("security-opt") ?? []).flatMap((text) => /^seccomp[=:](.*)$/s.exec(text)?.[1] ?? [])
  const last = given.at(-1)
  if (last === undefined) return argv.booleans.get("privileged") ? null : "default"
  if (last === "unconfined") return null
  if (last === "builtin" || last === "default") return last
  return { profile: readProfile(parse(last), last), kernel: kernelVersion() }
}
