/** Names of containers: links from a name to an id. */

import { call } from "../../ffi/call.ts"
import { LOCK_EX, O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts"
import { listDir } from "../../ffi/directory.ts"
import { close, open, readLink, symlink, unlink } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import type { Paths } from "../paths.ts"
import { hasName, NAME } from "./state.ts"

/** While no other toybox changes the name of a container, or takes one that seems to be nobody's. */
function withNamesLocked<T>(paths: Paths, action: () => T): T {
  const fd = open(paths.names, O_RDONLY | O_DIRECTORY)
  try {
    call("flock", fd, LOCK_EX)
    return action()
  } finally {
    close(fd)
  }
}

const holderOf = (paths: Paths, name: string) => readLink(`${paths.names}/${name}`)
const linkName = (paths: Paths, name: string, id: string) => symlink(id, `${paths.names}/${name}`)

/** Gives a name back that leads to a container which has it no more, or is none; false where it is in use. */
function releaseAbandoned(paths: Paths, name: string): boolean {
  const holder = holderOf(paths, name)
  if (holder !== null && hasName(paths, holder, name)) return false
  unlink(`${paths.names}/${name}`)
  return true
}

/** Another container has it. */
export class NameInUse extends ToyboxError {
  constructor(paths: Paths, name: string) {
    const holder = holderOf(paths, name) ?? ""
    super(`the name "${name}" is in use by container ${holder.slice(0, 12)}`, {
      hint: `remove it with: toybox rm ${name}`,
    })
  }
}

/** Throws ToyboxError where it is malformed. */
function checkName(name: string): void {
  if (NAME.test(name) && name.length <= 128) return
  throw new ToyboxError(`"${name}" is not a container name`, {
    hint: "use letters, digits, and after the first also _ . - (two characters at least)",
  })
}

/** Takes a name for an id; false where it is in use. With `required` it throws instead, also where it is malformed. */
export function takeName(paths: Paths, name: string, id: string, required: boolean): boolean {
  if (required) checkName(name)
  const again = () => releaseAbandoned(paths, name) && linkName(paths, name, id)
  const taken = linkName(paths, name, id) || withNamesLocked(paths, again)
  if (!taken && required) throw new NameInUse(paths, name)
  return taken
}

/** Gives a name back, if it is still this container's. */
export function releaseName(paths: Paths, name: string, id: string): void {
  if (holderOf(paths, name) === id) unlink(`${paths.names}/${name}`)
}

/** Gives a container another name, which `write` writes down with it; where that fails, it keeps the old one. Throws ToyboxError. */
export function changeName(
  paths: Paths,
  id: string,
  { from, to }: { from: string; to: string },
  write: () => void,
): void {
  checkName(to)
  withNamesLocked(paths, () => {
    if (!linkName(paths, to, id) && !(releaseAbandoned(paths, to) && linkName(paths, to, id)))
      throw new NameInUse(paths, to)
    try {
      write()
    } catch (error) {
      releaseName(paths, to, id)
      throw error
    }
    releaseName(paths, from, id)
  })
}

/** Gives back what renames that were killed have left. */
export function releaseAbandonedNames(paths: Paths): void {
  withNamesLocked(paths, () => {
    for (const name of listDir(paths.names)) releaseAbandoned(paths, name)
  })
}
