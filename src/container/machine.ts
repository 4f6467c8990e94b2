/** What kind of programs a root is made of. */
import { execCandidates } from "../plan/identity.ts"
import { readRootBytes } from "./identity.ts"

const MAGIC = "\x7fELF"
const CLASS = 4
const ELFCLASS32 = 1

/** Whether the command, or where that is a script the root's shell, is a program of 32 bits: elf(5). */
export function is32Bit(rootFd: number, [command = ""]: readonly string[], env: readonly string[]): boolean {
  for (const path of [...execCandidates(command, env), "/bin/sh"]) {
    const head = readRootBytes(rootFd, path, CLASS + 1)
    if (String.fromCharCode(...head.subarray(0, CLASS)) === MAGIC) return head[CLASS] === ELFCLASS32
  }
  return false
}
