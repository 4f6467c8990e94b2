/** Sends standard input to an address, and writes what comes back; ends its direction at the end of the input. */
import { connect } from "node:net"

const [, , host, port] = process.argv
const socket = connect({ host: host ?? "", port: Number(port), allowHalfOpen: true })
process.stdin.pipe(socket)
socket.pipe(process.stdout)
