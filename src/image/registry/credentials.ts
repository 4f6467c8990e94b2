/** Who one is to a registry: toybox's own store, then podman's and docker's files and their credential helpers. */
import { AT_EMPTY_PATH, O_NONBLOCK, O_RDONLY } from "../../../ffi/constants/fcntl.ts"
import { S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts"
import { isErrno, SyscallError } from "../../../ffi/errno.ts"
import { close, open, readAll, stat } from "../../../ffi/fs.ts"
import { ToyboxError } from "../../errors.ts"
import { notice } from "../../log.ts"
import { decodeJson, type Field, fault, member, members, optional, string } from "../decode.ts"
import { askHelper, type Credentials } from "./credential-helper.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** The auth file of `toybox login`. */
export const authFile = (state: string): string => `${state}/auth.json`

/** The files in which credentials may be, toybox's own first. */
export function authFiles(state: string, env: Environment, uid: number): string[] {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG, HOME } = env
  const config = XDG_CONFIG_HOME || (HOME ? `${HOME}/.config` : "")
  const docker = DOCKER_CONFIG || (HOME ? `${HOME}/.docker` : "")
  return [
    authFile(state),
    ...(REGISTRY_AUTH_FILE ? [REGISTRY_AUTH_FILE] : []),
    XDG_RUNTIME_DIR ? `${XDG_RUNTIME_DIR}/containers/auth.json` : `/run/containers/${uid}/auth.json`,
    ...(config ? [`${config}/containers/auth.json`] : []),
    ...(docker ? [`${docker}/config.json`] : []),
  ]
}

const DOCKER_HUB = "docker.io"
/** The name by which docker keeps the credentials of its own registry. */
const DOCKER_HUB_KEY = "https://index.docker.io/v1/"

/** The keys of files as one form: "https://index.docker.io/v1/" → "docker.io". */
export function normalKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, "").replace(/\/(v[12]\/?)?$/, "")
  return bare.replace(/^(index\.docker\.io|registry-1\.docker\.io)(?=\/|$)/, DOCKER_HUB)
}

/** What a helper or docker knows a registry by. */
export const serverAddress = (host: string): string => (host === DOCKER_HUB ? DOCKER_HUB_KEY : host)

/** The keys under which the credentials of a repository may be, the closest first: podman keeps them by namespace, too. */
function keysFor(host: string, path: string): string[] {
  const keys = [host]
  for (const part of path.split("/").filter(Boolean)) keys.unshift(`${keys[0]}/${part}`)
  return keys
}

function entry(field: Field): Credentials | null {
  const text = (name: string) => optional(member(field, name), string) ?? ""
  if (text("identitytoken")) return { kind: "identity-token", token: text("identitytoken") }
  if (text("registrytoken")) return { kind: "registry-token", token: text("registrytoken") }
  if (text("auth")) {
    const decoded = Buffer.from(text("auth"), "base64").toString()
    const colon = decoded.indexOf(":")
    if (colon < 0) throw fault(member(field, "auth"), "is not USER:PASSWORD in base64")
    // docker pads the password with NULs.
    return {
      kind: "password",
      username: decoded.slice(0, colon),
      password: decoded.slice(colon + 1).replace(/\0+$/, ""),
    }
  }
  if (text("username")) return { kind: "password", username: text("username"), password: text("password") }
  return null
}

/** What an error says of a field must not hold what is in it. */
const secret = (field: Field): Field => ({ ...field, document: `${field.document}: auths` })

function lookUp(root: Field, keys: readonly string[]): Credentials | null {
  const auths = new Map(
    (optional(member(root, "auths"), members) ?? []).map(([key, field]) => [normalKey(key), secret(field)]),
  )
  for (const key of keys) {
    const field = auths.get(key)
    const found = field === undefined ? null : entry(field)
    if (found) return found
  }
  return null
}

function helperFor(root: Field, host: string): string | undefined {
  const helpers = optional(member(root, "credHelpers"), members) ?? []
  const own = helpers.find(([key]) => normalKey(key) === host)?.[1]
  return own === undefined ? optional(member(root, "credsStore"), string) : string(own)
}

const told = new Set<string>()

/** Once each. */
function noticeOnce(text: string): void {
  if (!told.has(text)) notice(text)
  told.add(text)
}

/** The text of a file; empty where there is none. Throws ToyboxError, which names it, where it cannot be read. */
function readGiven(path: string): string {
  try {
    // Not to wait for who writes to a FIFO.
    const fd = open(path, O_RDONLY | O_NONBLOCK)
    try {
      const found = stat("", AT_EMPTY_PATH, fd)
      // /dev/null is named by who wants none of his own files looked at.
      if (found?.rdevMajor === 1 && found.rdevMinor === 3) return ""
      if (((found?.mode ?? 0) & S_IFMT) !== S_IFREG) throw new ToyboxError(`${path} is no regular file`)
      return new TextDecoder().decode(readAll(fd))
    } finally {
      close(fd)
    }
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return ""
    if (error instanceof SyscallError) throw new ToyboxError(`${path} cannot be read: ${error.errno}`)
    throw error
  }
}

const passedOver = (error: unknown) => `${error instanceof Error ? error.message : error}; going on without it`

/** What the helper that a file names for a registry has. */
async function helped(root: Field, host: string, tell: (text: string) => void): Promise<Credentials | null> {
  const helper = helperFor(root, host)
  if (!helper) return null
  try {
    return await askHelper(helper, serverAddress(host))
  } catch (error) {
    tell(`credentials for ${host}: ${passedOver(error)}`)
    return null
  }
}

/**
 * The credentials for a repository, or for a registry where `path` is empty; null where there are none. A helper that
 * fails, and a file that is malformed or cannot be read, is told and passed over.
 */
export async function findCredentials(
  host: string,
  path: string,
  files: readonly string[],
  tell: (text: string) => void = noticeOnce,
): Promise<Credentials | null> {
  for (const file of files) {
    try {
      const text = readGiven(file)
      if (text.trim() === "") continue
      const root = decodeJson(text, file)
      const found = (await helped(root, host, tell)) ?? lookUp(root, keysFor(host, path))
      if (found) return found
    } catch (error) {
      // Most images are for everybody.
      if (!(error instanceof ToyboxError)) throw error
      tell(passedOver(error))
    }
  }
  return null
}
