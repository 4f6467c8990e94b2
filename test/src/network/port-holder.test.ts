import { afterAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { findSocket, portHolder } from "../../../src/network/port-holder.ts"

const command = readFileSync("/proc/self/comm", "utf8").trim()
const listeners: { stop(): void }[] = []
afterAll(() => {
  for (const listener of listeners) listener.stop()
})

function listen(hostname: string): number {
  const server = Bun.listen({ hostname, port: 0, socket: { data() {} } })
  listeners.push({ stop: () => server.stop(true) })
  return server.port
}

describe("the holder of a port", () => {
  test.each([["127.0.0.1"], ["::1"]])("a listener on %s is found, with its process", (address) => {
    const port = listen(address)
    const holder = { pid: process.pid, command, address }
    expect(portHolder("tcp", null, port)).toEqual(holder)
    expect(portHolder("tcp", address, port)).toEqual(holder)
    expect(portHolder("tcp", "127.0.0.9", port)).toBeNull()
    expect(portHolder("udp", null, port)).toBeNull()
  })

  test("one on every address is in everybody's way", () => {
    expect(portHolder("tcp", "127.0.0.9", listen("0.0.0.0"))).toMatchObject({ pid: process.pid, address: "0.0.0.0" })
  })

  test("a UDP socket", async () => {
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 })
    listeners.push({ stop: () => socket.close() })
    expect(portHolder("udp", "127.0.0.1", socket.port)).toEqual({ pid: process.pid, command, address: "127.0.0.1" })
  })

  test("connections, and those that have ended, hold nothing", () => {
    const row = (state: string) =>
      `  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  0  0 4711 1\n`
    expect(findSocket(row("0A"), "tcp", null, 8080)).toEqual({ address: "127.0.0.1", inode: "4711" })
    expect(findSocket(row("01"), "tcp", null, 8080)).toBeNull()
    expect(findSocket(row("06"), "tcp", null, 8080)).toBeNull()
    expect(findSocket(row("0A"), "tcp", null, 8081)).toBeNull()
    expect(findSocket("", "tcp", null, 8080)).toBeNull()
  })
})
