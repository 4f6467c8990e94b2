/** The tags of a repository: distribution spec, "Listing Tags". */
import { ToyboxError } from "../../errors.ts"
import { decodeJson, list, member, optional, string } from "../decode.ts"
import { readBody, shownUrl } from "./answer.ts"
import { addressIn, call, type Repository } from "./client.ts"
import { registryError } from "./errors.ts"

const PAGE = 1000
const MAX_PAGE = 4 * 1024 * 1024
const MAX_TAGS = 100_000

/** Where the next page is, by its Link header (RFC 8288); null after the last one. */
function nextPage(headers: Headers, from: URL): URL | null {
  const [, target] = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(headers.get("link") ?? "") ?? []
  if (target === undefined) return null
  if (!URL.canParse(target, from.href)) throw new ToyboxError(`${shownUrl(from)} names a next page that is no address`)
  return new URL(target, from)
}

/** All of them, in the registry's order. Throws ToyboxError. */
export async function listTags(repository: Repository): Promise<string[]> {
  const what = `the tags of ${repository.host}/${repository.path}`
  const tags = new Set<string>()
  let next: URL | null = addressIn(repository, `tags/list?n=${PAGE}`)
  while (next !== null) {
    const response = await call(repository, what, { method: "GET", at: next })
    if (response.status !== 200) throw await registryError(response, what, repository.host)
    const root = decodeJson(await readBody(response, MAX_PAGE), what)
    const before = tags.size
    // A repository of which all has been removed has null there.
    for (const tag of optional(member(root, "tags"), (field) => list(field, MAX_TAGS)) ?? []) tags.add(string(tag))
    next = nextPage(response.headers, next)
    if (tags.size > MAX_TAGS || (next !== null && tags.size === before))
      throw new ToyboxError(`${what} do not come to an end: ${tags.size} came`)
  }
  return [...tags]
}
