/**
 * Who the command runs as, looked up in the container's own files. They are read as bytes through the root's fd:
 * nothing of the image is ever loaded or followed out of the root (CVE-2019-14271, CVE-2024-9676).
 */
import { call, callResult } from "../../ffi/call.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
} from "../../ffi/constants/fcntl.ts"
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts"
import { close, readAll, stat } from "../../ffi/fs.ts"
import { openat2 } from "../../ffi/openat2.ts"
import { openHow } from "../../ffi/structs.ts"
import { UsageError } from "../errors.ts"
import type { Mount } from "../oci/runtime.ts"
import { DEFAULT_PATH } from "../spec/defaults.ts"
import type { Identity } from "../spec/generate.ts"
import type { RunRequest } from "../spec/request.ts"

const MOST_BYTES = 1024 * 1024
const MOST_ID = 2 ** 31 - 1
const ZERO = 0x30
const NINE = 0x39

/**
 * openat2(2) inside the root that `rootFd` holds; -errno where it fails. What is mounted on it is no part of it: neither an
 * overlay nor a copy shows that.
 */
export function openInRootFd(rootFd: number, path: string, flags: number): number {
  const how = openHow(flags | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
  return openat2(rootFd, path || ".", how)
}

/** The first `most` bytes of what was opened, and is closed; none where that is nothing (-errno), or no regular file. */
function readRegular(fd: number, most: number): Uint8Array {
  if (fd < 0) return new Uint8Array()
  try {
    const found = stat("", AT_EMPTY_PATH, fd)
    if (!found || (found.mode & S_IFMT) !== S_IFREG) return new Uint8Array()
    return readAll(fd, most)
  } finally {
    close(fd)
  }
}

/** The first `most` bytes of a regular file of the root; none where there is none, or something else in its place. */
export const readRootBytes = (rootFd: number, path: string, most: number): Uint8Array =>
  readRegular(openInRootFd(rootFd, path, O_RDONLY | O_NONBLOCK), most)

/** The same as text. */
export const readRootFile = (rootFd: number, path: string): string =>
  new TextDecoder().decode(readRootBytes(rootFd, path, MOST_BYTES))

/** A file of the root as the container sees it: one that is bound over it is read where it is on this machine. */
function readSeen(rootFd: number, path: string, mounts: readonly Mount[]): string {
  const over = mounts.findLast(({ destination }) => destination === `/${path}`)
  if (over === undefined) return readRootFile(rootFd, path)
  const fd = callResult("openat", AT_FDCWD, over.source, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)
  return new TextDecoder().decode(readRegular(fd, MOST_BYTES))
}

interface PasswdEntry {
  name: string
  uid: number
  gid: number
  home: string
}

interface GroupEntry {
  name: string
  gid: number
  members: string[]
}

// As docker and podman have it: what a file of the image names so must not decide over an id that was given.
// Not a regular expression: it would be the only one of most runs, and the first takes a twentieth of a millisecond.
function isNumber(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < ZERO || code > NINE) return false
  }
  return text !== ""
}

/** An id as a file or a person writes it: decimal, 0 to 2^31 - 1; null for anything else (CVE-2024-40635). */
export function parseId(text: string): number | null {
  return isNumber(text) && text.length <= 10 && Number(text) <= MOST_ID ? Number(text) : null
}

/** passwd(5); lines that are none are skipped. */
export function parsePasswd(text: string): PasswdEntry[] {
  return text.split("\n").flatMap((line): PasswdEntry[] => {
    const [name = "", , uidText = "", gidText = "", , home = ""] = line.split(":")
    const [uid, gid] = [parseId(uidText), parseId(gidText)]
    return name === "" || uid === null || gid === null ? [] : [{ name, uid, gid, home }]
  })
}

/** group(5). */
export function parseGroup(text: string): GroupEntry[] {
  return text.split("\n").flatMap((line): GroupEntry[] => {
    const [name = "", , gidText = "", members = ""] = line.split(":")
    const gid = parseId(gidText)
    return name === "" || gid === null
      ? []
      : [{ name, gid, members: members.split(",").filter((member) => member !== "") }]
  })
}

function findGroup(option: string, text: string, groups: readonly GroupEntry[]): number {
  const gid = isNumber(text) ? parseId(text) : (groups.find((group) => group.name === text)?.gid ?? null)
  if (gid === null) {
    throw new UsageError(`${option}: the container has no group "${text}"`, {
      hint: "use a name of its /etc/group, or a number from 0 to 2147483647",
    })
  }
  return gid
}

/**
 * What a user and --group-add mean by the container's passwd and group files. `by` asks for the user. Throws UsageError, which
 * names it.
 */
export function resolveUser(
  user: string,
  groupAdd: readonly string[],
  passwd: readonly PasswdEntry[],
  groups: readonly GroupEntry[],
  by = "--user",
) {
  const colon = user.indexOf(":")
  const userText = colon < 0 ? user : user.slice(0, colon)
  const groupText = colon < 0 ? null : user.slice(colon + 1)
  if (userText === "" || groupText === "")
    throw new UsageError(`${by}: "${user}" is no user (use NAME, UID, NAME:GROUP or UID:GID)`)
  const numeric = parseId(userText)
  const entry = passwd.find(({ name, uid }) => (isNumber(userText) ? uid === numeric : name === userText))
  const uid = entry?.uid ?? numeric
  if (uid === null) {
    throw new UsageError(`${by}: the container has no user "${userText}"`, {
      hint: "use a name of its /etc/passwd, or a number from 0 to 2147483647",
    })
  }
  const gid = groupText === null ? (entry?.gid ?? 0) : findGroup(by, groupText, groups)
  // With a group given, that group is meant and no other: as docker has it.
  const member =
    entry && groupText === null
      ? groups.filter(({ members }) => members.includes(entry.name)).map((group) => group.gid)
      : []
  const added = groupAdd.map((text) => findGroup("--group-add", text, groups))
  // With the primary group among them: a process that gives it up keeps what is denied to its members (CVE-2022-36109).
  return { uid, gid, additionalGids: [...new Set([gid, ...member, ...added])], home: entry?.home || "/" }
}

/** The user, and the environment with what depends on the user. `given` are NAME=value entries, of which the last counts. */
export function resolveIdentity(
  rootFd: number,
  request: Pick<RunRequest, "user" | "userOf" | "groupAdd" | "env" | "unsetEnv" | "terminal" | "mounts"> & {
    hostname: string
  },
): Omit<Identity, "compat"> {
  const passwd = parsePasswd(readSeen(rootFd, "etc/passwd", request.mounts))
  const groups = parseGroup(readSeen(rootFd, "etc/group", request.mounts))
  const { uid, gid, additionalGids, home } = resolveUser(request.user, request.groupAdd, passwd, groups, request.userOf)
  const env = new Map<string, string>([
    ["PATH", DEFAULT_PATH],
    ["HOSTNAME", request.hostname],
    ...(request.terminal ? ([["TERM", "xterm"]] as const) : []),
    ["HOME", home],
  ])
  const { unsetEnv = [] } = request
  // As podman has it: what tells who and where the command is stays, unless it is named.
  for (const name of unsetEnv === "all" ? ["PATH", "TERM"] : unsetEnv) env.delete(name)
  for (const entry of request.env) env.set(entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1))
  return { user: { uid, gid, additionalGids }, env: [...env].map(([name, value]) => `${name}=${value}`) }
}

/** Whether there is a file at a path of the root, for error messages. */
export function existsInRoot(rootFd: number, path: string): boolean {
  const fd = openInRootFd(rootFd, path, O_RDONLY | O_NONBLOCK)
  if (fd >= 0) call("close", fd)
  return fd >= 0
}
