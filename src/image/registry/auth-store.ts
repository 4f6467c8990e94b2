/** The credentials that `toybox login` keeps: auth.json of the state directory, in the form of docker's and podman's. */

import { call } from "../../../ffi/call.ts"
import { LOCK_EX, O_CREAT, O_RDWR } from "../../../ffi/constants/fcntl.ts"
import { close, open, replaceFile, tryReadText } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { decodeJson, type Field, member, members, optional } from "../decode.ts"
import { authFile } from "./credentials.ts"

interface AuthEntry {
  auth: string
}

function read(path: string): Map<string, unknown> {
  const text = tryReadText(path)
  if (text === null || text.trim() === "") return new Map()
  const entries: [string, Field][] = optional(member(decodeJson(text, path), "auths"), members) ?? []
  return new Map(entries.map(([host, { value }]) => [host, value]))
}

/** Changes the store, one process at a time. */
function change<T>(state: string, edit: (entries: Map<string, unknown>) => T): T {
  const path = authFile(state)
  const lock = open(`${path}.lock`, O_RDWR | O_CREAT, 0o600)
  try {
    call("flock", lock, LOCK_EX)
    const entries = read(path)
    const result = edit(entries)
    // Only its owner may read it: replaceFile makes it anew, with 0600.
    replaceFile(path, `${JSON.stringify({ auths: Object.fromEntries(entries) }, null, 2)}\n`)
    return result
  } finally {
    close(lock)
  }
}

/** Keeps a user name and password for a registry. Throws ToyboxError for a user name that the form cannot hold. */
export function storePassword(state: string, host: string, username: string, password: string): void {
  if (username === "" || username.includes(":"))
    throw new ToyboxError(`"${username}" is not a user name: it must not be empty or have a colon`)
  const entry: AuthEntry = { auth: Buffer.from(`${username}:${password}`).toString("base64") }
  change(state, (entries) => entries.set(host, entry))
}

/** Forgets a registry's; false where there was nothing to forget. */
export const forgetPassword = (state: string, host: string): boolean =>
  read(authFile(state)).has(host) && change(state, (entries) => entries.delete(host))

/** The registries for which something is kept. */
export const storedHosts = (state: string): string[] => [...read(authFile(state)).keys()]
