/** The filter of system calls, and the keyring. Steps → calls. */
import { at, type Call, out, slot, struct } from "../../../ffi/calls.ts"
import { ENOSYS } from "../../../ffi/constants/errno.ts"
import { KEYCTL_JOIN_SESSION_KEYRING } from "../../../ffi/constants/keyctl.ts"
import { SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_SET_MODE_FILTER } from "../../../ffi/constants/seccomp.ts"
import { CMSG_FD_OFFSET, CMSG_FD_SIZE, messageHeader } from "../../../ffi/structs.ts"
import type { StepOf } from "../../plan/steps.ts"

const LISTENER = slot("listener")

/** keyctl(2); a kernel without keys has none to keep from the container. */
export const sessionKeyring = (): Call[] => [
  { name: "keyctl", args: [KEYCTL_JOIN_SESSION_KEYRING, null], tolerate: [ENOSYS] },
]

/** seccomp(2) with a struct sock_fprog; a listener is sent on at once, and then forgotten. */
export function seccomp({ program, flags, listener }: StepOf<"seccomp">): Call[] {
  const fprog = struct([2, program.length / 8], [2, 0], [4, 0], [8, program])
  if (!listener) return [{ name: "seccomp", args: [SECCOMP_SET_MODE_FILTER, flags, fprog] }]
  const control = out("control message", CMSG_FD_SIZE)
  const { socketFd, message } = listener
  const header = messageHeader(message, message.length, control)
  // cmsg_len, SOL_SOCKET, SCM_RIGHTS; the descriptor comes behind them.
  const head = [
    { name: "load", args: [new Uint8Array([20, 0, 0, 0, 0, 0, 0, 0]), -1], into: { at: at(control, 0), size: 8 } },
    { name: "load", args: [new Uint8Array([1, 0, 0, 0, 1, 0, 0, 0]), -1], into: { at: at(control, 8), size: 8 } },
  ] as const satisfies Call[]
  return [
    ...head,
    {
      name: "seccomp",
      args: [SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, fprog],
      into: LISTENER,
    },
    { name: "load", args: [at(LISTENER, 0), 0xffffffff], into: { at: at(control, CMSG_FD_OFFSET), size: 4 } },
    { name: "sendmsg", args: [socketFd, header, 0], fails: { mask: -1, unless: message.length } },
    { name: "close", args: [LISTENER] },
    { name: "close", args: [socketFd] },
  ]
}
