/** A process that is made by one that then ends: its sibling by CLONE_PARENT, of which the maker reports the pid. */
import { at, type Call, out, slot } from "../../../ffi/calls.ts"
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../../ffi/constants/socket.ts"

/** Reported in place of a call index by a child that made the container's process: the errno is the pid. */
export const PID_REPORT = 0xffffffff

const RECORD = new Uint8Array(new Uint32Array([PID_REPORT, 0]).buffer)

/**
 * The maker ends by `exit`; the sibling, which `clone` makes, goes on behind. It waits until its pid has been reported: where the
 * maker is killed before, nobody would ever know of it, and whoever waits for the report would wait for ever.
 */
export function siblingOf(clone: Call, reportFd: number, exit: Call): Call[] {
  const ends = out("the sibling's leave", 16)
  const mine = slot("maker's end")
  const its = slot("sibling's end")
  const sibling = slot("sibling pid")
  const report = out("pid report", 8)
  const maker: Call[] = [
    { name: "load", args: [RECORD, -1], into: { at: at(report, 0), size: 8 } },
    { name: "load", args: [at(sibling, 0), -1], into: { at: at(report, 4), size: 4 } },
    { name: "write", args: [reportFd, report, 8] },
    { name: "write", args: [mine, report, 1], fails: "never" },
    exit,
  ]
  return [
    { name: "socketpair", args: [AF_UNIX, SOCK_STREAM + SOCK_CLOEXEC, 0, ends] },
    { name: "load", args: [at(ends, 0), 0xffffffff], into: mine },
    { name: "load", args: [at(ends, 4), 0xffffffff], into: its },
    { ...clone, into: sibling, jump: { when: "equal", value: 0, skip: maker.length } },
    ...maker,
    { name: "close", args: [mine] },
    { name: "read", args: [its, out("leave", 8), 1], jump: { when: "equal", value: 1, skip: 1 } },
    exit,
    { name: "close", args: [its] },
  ]
}
