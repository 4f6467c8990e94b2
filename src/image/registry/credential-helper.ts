/** Docker's credential helpers: docker-credential-NAME, by the protocol of docker-credential-helpers. */
import { ToyboxError } from "../../errors.ts"
import { decodeJson, member, string } from "../decode.ts"

export type Credentials =
  | { kind: "password"; username: string; password: string }
  /** A refresh token: exchanged for tokens. */
  | { kind: "identity-token"; token: string }
  /** A token that is sent as it is. */
  | { kind: "registry-token"; token: string }

/** Milliseconds: one that asks somebody at a terminal would wait for ever. */
const PATIENCE = 30_000
/** Milliseconds: what it wrote before it ended is there by then. */
const GRACE = 300
const NOT_FOUND = "credentials not found in native keychain"
const TOKEN_USER = "<token>"

/** What is written until `ended`: what a helper has started itself may hold its output open for as long as it likes. */
async function textUntil(ended: Promise<unknown>, stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader()
  const over = ended.then(() => Bun.sleep(GRACE))
  const parts: Uint8Array[] = []
  for (;;) {
    const part = await Promise.race([reader.read(), over])
    if (!part?.value) break
    parts.push(part.value)
  }
  await reader.cancel()
  return Buffer.concat(parts).toString()
}

/**
 * Asks a helper; null where it has none. Throws ToyboxError where it is missing, fails, or does not answer.
 */
export async function askHelper(name: string, server: string, patience = PATIENCE): Promise<Credentials | null> {
  if (!/^[\w.-]+$/.test(name)) throw new ToyboxError(`"${name}" is not the name of a credential helper`)
  const program = `docker-credential-${name}`
  const path = Bun.which(program, { PATH: process.env.PATH ?? "" })
  if (path === null) throw new ToyboxError(`${program} is not installed`)
  const child = Bun.spawn([path, "get"], {
    env: process.env,
    stdin: new TextEncoder().encode(server),
    stdout: "pipe",
    stderr: "pipe",
    timeout: patience,
    killSignal: "SIGKILL",
  })
  const said = textUntil(child.exited, child.stdout)
  const complaint = textUntil(child.exited, child.stderr)
  const code = await child.exited
  if (child.signalCode === "SIGKILL") throw new ToyboxError(`${program} did not answer in ${patience / 1000} s`)
  const output = (await said).trim()
  if (code !== 0) {
    if (output.toLowerCase().includes(NOT_FOUND)) return null
    // By the protocol it says there why it failed; not all do.
    const why = output || (await complaint).trim() || "it does not say why"
    throw new ToyboxError(`${program} failed (${code}): ${why.replace(/\p{Cc}/gu, " ").slice(0, 200)}`)
  }
  const root = decodeJson(output, `the answer of ${program}`)
  const username = string(member(root, "Username"))
  const password = string(member(root, "Secret"))
  if (username === "" && password === "") return null
  return username === TOKEN_USER
    ? { kind: "identity-token", token: password }
    : { kind: "password", username, password }
}
