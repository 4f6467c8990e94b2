/** A server that does to a client what real ones do on bad days: each answer is written byte by byte. */
import { afterAll } from "bun:test"
import type { Socket } from "bun"

export interface Asked {
  method: string
  path: string
  /** Names in lower case. */
  headers: Record<string, string>
}

/** One answer: the head, the body, and what happens to the connection then. */
export interface Reply {
  status?: number
  headers?: Record<string, string | number>
  body?: Uint8Array | string
  /** Bytes of the body that are sent, if not all. */
  sent?: number
  /** `cut`: FIN, `reset`: RST, `stall`: silence. */
  ending?: "keep" | "cut" | "reset" | "stall"
  /** Milliseconds between parts of so many bytes. */
  slowly?: [milliseconds: number, bytes: number]
}

export type Script = (asked: Asked, count: number) => Reply | "silence"

export interface NastyServer {
  port: number
  url: URL
  asked: Asked[]
}

function parse(text: string): Asked {
  const [line = "", ...lines] = (text.split("\r\n\r\n")[0] ?? "").split("\r\n")
  const [method = "", path = ""] = line.split(" ")
  const headers = lines.map((header) => {
    const colon = header.indexOf(":")
    return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()] as const
  })
  return { method, path, headers: Object.fromEntries(headers) }
}

function writeFully(socket: Socket<{ rest: Uint8Array }>, bytes: Uint8Array): void {
  const count = Math.max(0, socket.write(bytes))
  socket.data.rest = bytes.subarray(count)
}

async function reply(socket: Socket<{ rest: Uint8Array }>, answer: Reply): Promise<void> {
  const { status = 200, headers = {}, body = "", ending = "keep", slowly } = answer
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
  const fields = { "content-length": bytes.length, ...headers }
  const head = Object.entries(fields)
    .filter(([, value]) => String(value) !== "")
    .map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`HTTP/1.1 ${status} Status\r\n${head.join("")}\r\n`)
  const part = bytes.subarray(0, answer.sent)
  if (slowly) {
    const [pause, size] = slowly
    for (let at = 0; at < part.length; at += size) {
      await Bun.sleep(pause)
      socket.write(part.subarray(at, at + size))
    }
  } else {
    writeFully(socket, part)
    while (socket.data.rest.length > 0 && socket.readyState === 1) await Bun.sleep(1)
  }
  // Not before the client has had what came before: with the end at hand it does not look at that any more.
  if (ending === "cut" || ending === "reset") await Bun.sleep(20)
  if (ending === "cut") socket.end()
  if (ending === "reset") socket.terminate()
}

/** Starts one on the loopback; it ends with the test file. */
export function nastyServer(script: Script): NastyServer {
  const asked: Asked[] = []
  const listener = Bun.listen<{ rest: Uint8Array }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { rest: new Uint8Array() }
      },
      data: (socket, text) => {
        const request = parse(text.toString())
        asked.push(request)
        const answer = script(request, asked.length)
        if (answer !== "silence") void reply(socket, answer)
      },
      drain: (socket) => {
        if (socket.data.rest.length > 0) writeFully(socket, socket.data.rest)
      },
    },
  })
  afterAll(() => listener.stop(true))
  return { port: listener.port, url: new URL(`http://127.0.0.1:${listener.port}/file`), asked }
}

/** The part of a file that a Range header asks for, as a right server gives it. */
export function ranged(asked: Asked, file: Uint8Array, headers: Record<string, string | number>): Reply {
  const start = Number(/^bytes=(\d+)-$/.exec(asked.headers.range ?? "")?.[1] ?? Number.NaN)
  if (Number.isNaN(start) || asked.headers["if-range"] !== headers.etag) return { headers, body: file }
  const range = `bytes ${start}-${file.length - 1}/${file.length}`
  return { status: 206, headers: { ...headers, "content-range": range }, body: file.subarray(start) }
}
