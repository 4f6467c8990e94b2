import { afterAll, beforeAll, expect, test } from "bun:test"
import { makeNamespace, type Namespace } from "../helpers/network.ts"

let host: Namespace
beforeAll(async () => {
  host = await makeNamespace()
  await host.run(["ip", "address", "add", "192.0.2.1/24", "dev", "lo"])
})

const children: { stdin: { end(): unknown }; kill(signal: "SIGKILL"): void; exited: Promise<number> }[] = []
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL")
  await Promise.all(children.map((child) => child.exited))
  await host.close()
})

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = ""
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk)
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"))
  }
  return text
}

/** Claims ports in a process of its own, which holds them until `release`. */
async function claim(texts: readonly string[], held = "") {
  const command = host.within(process.execPath, `${import.meta.dir}/claims-child.ts`, held, ...texts)
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe" })
  children.push(child)
  const answer = JSON.parse(await firstLine(child.stdout))
  const release = async () => {
    child.stdin.end()
    await child.exited
  }
  return { answer, release, kill: () => child.kill("SIGKILL"), exited: child.exited }
}

const LISTEN = `
  const { createServer } = require("node:net")
  createServer().listen(Number(process.argv[1]), process.argv[2], () => console.log("listens"))
    .on("error", (error) => { console.log(error.code); process.exit() })`

async function listen(port: number, address: string) {
  const child = Bun.spawn(host.within(process.execPath, "-e", LISTEN, String(port), address), {
    stdin: "pipe",
    stdout: "pipe",
  })
  children.push(child)
  const stop = async () => {
    child.kill("SIGKILL")
    await child.exited
  }
  return { pid: child.pid, said: await firstLine(child.stdout), stop }
}

test("a port that is claimed is nobody else's, until whoever holds it has ended, killed even", async () => {
  const one = await claim(["8080:80", "127.0.0.1:53:53/udp"])
  expect(one.answer).toEqual({
    ports: [
      { protocol: "tcp", address: null, host: 8080, container: 80 },
      { protocol: "udp", address: "127.0.0.1", host: 53, container: 53 },
    ],
    sockets: 2,
  })
  for (const address of ["0.0.0.0", "::", "127.0.0.1"]) expect((await listen(8080, address)).said).toBe("EADDRINUSE")
  const other = await claim(["8000:80", "8080:80"])
  expect(other.answer.message).toBe("-p: port 8080/tcp of the host is in use")
  const named = await claim(["127.0.0.1:8080:80"], "8080")
  expect(named.answer).toEqual({
    message: "-p: port 127.0.0.1:8080/tcp of the host is in use by the container web",
    hint: "stop that, or publish another port, e.g. -p 127.0.0.1:8081:80/tcp",
  })
  // Those that failed hold nothing.
  const free = await listen(8000, "0.0.0.0")
  expect(free.said).toBe("listens")
  await free.stop()
  one.kill()
  await one.exited
  const again = await claim(["8080:80"])
  expect(again.answer.sockets).toBe(1)
  await again.release()
}, 60_000)

test("who listens on a port is named", async () => {
  const server = await listen(7000, "127.0.0.1")
  expect(server.said).toBe("listens")
  expect((await claim(["7000:80"])).answer.message).toMatch(
    new RegExp(`^-p: port 7000/tcp of the host is in use by bun\\S* \\(process ${server.pid}\\)$`),
  )
  const beside = await claim(["192.0.2.1:7000:80"])
  expect(beside.answer.ports).toEqual([{ protocol: "tcp", address: "192.0.2.1", host: 7000, container: 80 }])
  await beside.release()
  await server.stop()
}, 60_000)

test("ports are chosen where any will do, and the first free one of a range", async () => {
  const any = await claim(["80", "90-92", "[::1]:53/udp"])
  const ports: { host: number; container: number }[] = any.answer.ports
  expect(ports.map(({ container }) => container)).toEqual([80, 90, 91, 92, 53])
  for (const { host: port } of ports) expect(port).toBeGreaterThan(1023)
  const range = await claim(["5000-5002:80"])
  const next = await claim(["5000-5002:80"])
  expect([range, next].map(({ answer }) => answer.ports[0].host)).toEqual([5000, 5001])
  const lots = await claim(["6000-6009:6000-6009"])
  expect(lots.answer.ports.at(-1)).toEqual({ protocol: "tcp", address: null, host: 6009, container: 6009 })
  for (const one of [any, range, next, lots]) await one.release()
}, 60_000)

test("an address that is not the host's is told, and SCTP needs no socket", async () => {
  expect((await claim(["203.0.113.9:80:80"])).answer.message).toBe("-p: 203.0.113.9 is no address of this host")
  const any = await claim(["80/sctp"])
  expect(any.answer.sockets).toBe(0)
  expect(any.answer.ports[0].host).toBeGreaterThan(1024)
  await any.release()
  const named = await claim(["80:80/sctp"])
  expect(named.answer).toEqual({
    ports: [{ protocol: "sctp", address: null, host: 80, container: 80 }],
    sockets: 0,
  })
  await named.release()
}, 60_000)

test("connections that have ended are not in the way", async () => {
  const server = await listen(7100, "127.0.0.1")
  // The server's side closes first, and waits.
  const close = `const c = require("node:net").connect(7100, "127.0.0.1", () => { console.log("in"); setInterval(() => {}, 1000) }).on("end", () => process.exit()).on("error", () => process.exit())`
  const client = Bun.spawn(host.within(process.execPath, "-e", close), { stdin: "ignore", stdout: "pipe" })
  expect(await firstLine(client.stdout)).toBe("in")
  await server.stop()
  await client.exited
  const claimed = await claim(["7100:80"])
  expect(claimed.answer.sockets).toBe(1)
  expect((await listen(7100, "0.0.0.0")).said).toBe("EADDRINUSE")
  await claimed.release()
}, 60_000)
