/** What a registry answers instead of what was asked for: distribution spec, "Error Codes". */
import { ToyboxError } from "../../errors.ts"
import type { Answer } from "../fetch/exchange.ts"
import { isPassing, retryAfter } from "../fetch/retry.ts"
import { readBody, shownUrl } from "./answer.ts"

const MAX_ERROR = 64 * 1024

/** An answer of a registry that says no. */
export class RegistryError extends ToyboxError {
  override readonly name = "RegistryError"
  readonly status: number
  /** As the specification spells them: MANIFEST_UNKNOWN, … */
  readonly codes: readonly string[]

  constructor(message: string, status: number, codes: readonly string[], hint?: string) {
    super(message, { hint })
    this.status = status
    this.codes = codes
  }
}

// What comes from a stranger must not speak to the terminal, and not at length.
const shown = (text: unknown) =>
  String(text)
    .replace(/\p{Cc}/gu, " ")
    .slice(0, 300)

interface Told {
  code?: unknown
  message?: unknown
}

async function told(response: Answer): Promise<Told[]> {
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(await readBody(response, MAX_ERROR)))
    const errors = (body as { errors?: unknown } | null)?.errors
    return Array.isArray(errors) ? errors.filter((item) => typeof item === "object" && item !== null) : []
  } catch {
    // A page of a proxy, say: the status has to do.
    return []
  }
}

const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: "the registry does not understand the request",
  401: "the registry wants a login",
  403: "access is denied",
  404: "there is no such thing",
  405: "the registry does not allow it",
  413: "it is too large for the registry",
  416: "the registry has not that part of it",
  429: "the registry has had too many requests",
}

function hintFor(status: number, host: string): string | undefined {
  if (status === 401 || status === 403) return `log in with toybox login ${host}, or see whether the name is right`
  if (status === 429) return `wait a while; logged in (toybox login ${host}) the limit is higher`
  if (status === 404) return "see whether the name and the tag are right"
  return undefined
}

/** The error for an answer; `what` was asked for ("docker.io/library/alpine:latest"), `host` is where one logs in. */
export async function registryError(response: Answer, what: string, host: string): Promise<RegistryError> {
  const { status } = response
  const errors = await told(response)
  const words = errors.flatMap(({ code, message }) => (message || code ? [shown(message || code)] : []))
  const reason = STATUS_WORDS[status] ?? `the registry answers ${status}`
  const text = `${what}: ${reason}${words.length > 0 ? ` (${words.slice(0, 3).join("; ")})` : ""}`
  const wait = isPassing(status) ? retryAfter(response.headers.get("retry-after")) : null
  const later = wait === null ? "" : `, and asks to come again in ${Math.ceil(wait / 1000)} s`
  const where = response.url.host === host ? "" : ` at ${shownUrl(response.url)}`
  return new RegistryError(
    text + where + later,
    status,
    errors.map(({ code }) => shown(code)),
    hintFor(status, host),
  )
}
