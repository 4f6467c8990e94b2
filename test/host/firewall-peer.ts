/**
 * `serve PORT`: tells everyone who comes by TCP or UDP which address he comes from, or with a NAME that. `ask tcp|udp ADDRESS PORT MILLISECONDS [FROM]`:
 * prints what such a server tells, or nothing where none answers in time.
 */

import { createSocket } from "node:dgram"
import { connect, createServer } from "node:net"

const [mode = "", ...rest] = process.argv.slice(2)
const plain = (address = "") => address.replace(/^::ffff:/, "")

if (mode === "serve") {
  const port = Number(rest[0])
  const name = rest[1]
  const udp = createSocket("udp6")
  udp.on("message", (_data, from) => udp.send(name ?? plain(from.address), from.port, from.address))
  udp.bind(port, () => {
    createServer((socket) => {
      socket.on("error", () => socket.destroy())
      socket.end(plain(socket.remoteAddress))
    }).listen(port, "::", () => console.log("ready"))
  })
} else {
  const [protocol, address = "", port, milliseconds, from] = rest
  const done = (text: string) => {
    console.log(text)
    process.exit(0)
  }
  setTimeout(() => done(""), Number(milliseconds))
  if (protocol === "tcp") {
    const socket = connect({ host: address, port: Number(port) })
    socket.on("data", (data) => done(data.toString()))
    socket.on("error", () => done(""))
  } else {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4")
    // What comes from elsewhere is no answer, as to a socket that is connected.
    socket.on("message", (data, from) => plain(from.address) === plain(address) && done(data.toString()))
    // A datagram may be lost.
    const send = () => socket.send("who am I", Number(port), address, (error) => error && done(""))
    // From one port of its own, so that it is one flow whoever answers.
    socket.bind(Number(from ?? 0), () => {
      send()
      setInterval(send, 500)
    })
  }
}
