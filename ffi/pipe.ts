/** Pipes and socket pairs, close-on-exec: pipe(2), socketpair(2). */
import { call, scratch } from "./call.ts"
import { O_CLOEXEC } from "./constants/fcntl.ts"
import { AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET } from "./constants/socket.ts"

const pair = (): [number, number] => [scratch.i32(0), scratch.i32(4)]

/** [read end, write end]. */
export function pipe(): [number, number] {
  call("pipe2", scratch.address, O_CLOEXEC)
  return pair()
}

/** Two connected sockets that keep message boundaries. */
export function socketPair(): [number, number] {
  call("socketpair", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, scratch.address)
  return pair()
}
