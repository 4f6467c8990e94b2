import { expect, test } from "bun:test"
import { DOCKER_SHORT_NAMES } from "../../../../src/image/reference.ts"
import { openRepository } from "../../../../src/image/registry/client.ts"
import { endpointsFor } from "../../../../src/image/registry/endpoint.ts"
import { listTags } from "../../../../src/image/registry/tags.ts"
import { type Asked, nastyServer, type Reply } from "../fetch/server.ts"

/** The tags that a server gives, and what it was asked for. */
async function tagsOf(script: (asked: Asked, page: number) => Reply) {
  const server = nastyServer((asked, count) => (asked.path === "/v2/" ? { body: "{}" } : script(asked, count - 1)))
  const settings = { shortNames: DOCKER_SHORT_NAMES, registries: {} }
  const [endpoint] = endpointsFor(`127.0.0.1:${server.port}`, settings)
  if (!endpoint) throw new Error("no endpoint")
  const patience = { answer: 500, idle: 300, attempts: 1, pause: 5, longestPause: 10 }
  const repository = await openRepository(endpoint, "org/app", { patience, credentials: async () => null })
  return { tags: await listTags(repository), paths: server.asked.map(({ path }) => path).slice(1) }
}

const page = (tags: string[] | null, next?: string): Reply => ({
  body: JSON.stringify({ name: "org/app", tags }),
  ...(next === undefined ? {} : { headers: { link: `<${next}>; rel="next"` } }),
})

test("the tags of all pages", async () => {
  const { tags, paths } = await tagsOf((_, count) =>
    count === 1 ? page(["a", "b"], "/v2/org/app/tags/list?last=b&n=2") : page(["c"]),
  )
  expect(tags).toEqual(["a", "b", "c"])
  expect(paths).toEqual(["/v2/org/app/tags/list?n=1000", "/v2/org/app/tags/list?last=b&n=2"])
})

test("none, where all have been removed", async () => {
  expect((await tagsOf(() => page(null))).tags).toEqual([])
})

test.each<[string, Reply, string]>([
  ["no end", page(["a"], "/v2/org/app/tags/list"), "do not come to an end"],
  ["a next page that is no address", page(["a"], "http://"), "no address"],
  ["what are no tags", { body: '{"tags":[1]}' }, "tags"],
  ["no such repository", { status: 404, body: "{}" }, "there is no such thing"],
])("%s: it is told", async (_, reply, why) => {
  await expect(tagsOf(() => reply)).rejects.toThrow(why)
})
