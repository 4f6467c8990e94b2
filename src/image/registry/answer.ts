/** What is read of an answer as a whole. */
import { ToyboxError } from "../../errors.ts"
import type { Answer } from "../fetch/exchange.ts"

/** An address for messages: without the query, in which object stores carry a signature. */
export const shownUrl = (url: URL): string => `${url.origin}${url.pathname}`

/** The whole body, of at most `limit` bytes. */
export async function readBody(answer: Answer, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of answer.body) {
    size += part.length
    if (size > limit) {
      answer.cancel()
      throw new ToyboxError(`${shownUrl(answer.url)}: the answer has more than ${limit} bytes`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}
