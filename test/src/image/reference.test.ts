import { describe, expect, test } from "bun:test"
import {
  familiarReference,
  formatReference,
  manifestName,
  parseReference,
  withDefaultTag,
} from "../../../src/image/reference.ts"
import { type Random, random } from "../cgroup/random.ts"

const HEX = "0123456789abcdef".repeat(4)
const DIGEST = `sha256:${HEX}`
const normal = (text: string) => formatReference(withDefaultTag(parseReference(text)))

describe("parseReference", () => {
  test.each([
    ["alpine", "docker.io/library/alpine:latest"],
    ["alpine:3.20", "docker.io/library/alpine:3.20"],
    ["org/app", "docker.io/org/app:latest"],
    ["org/deep/app:v1", "docker.io/org/deep/app:v1"],
    ["docker.io/alpine", "docker.io/library/alpine:latest"],
    ["index.docker.io/alpine", "docker.io/library/alpine:latest"],
    ["index.docker.io/library/alpine", "docker.io/library/alpine:latest"],
    ["ghcr.io/org/app", "ghcr.io/org/app:latest"],
    ["ghcr.io/app", "ghcr.io/app:latest"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app:1", "localhost:5000/app:1"],
    ["localhost:5000", "docker.io/library/localhost:5000"],
    ["myhost:5000/app", "myhost:5000/app:latest"],
    ["127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"],
    ["[::1]:5000/app", "[::1]:5000/app:latest"],
    ["[2001:db8::1]/app:x", "[2001:db8::1]/app:x"],
    ["Host/app", "Host/app:latest"],
    ["HOST.example/app", "HOST.example/app:latest"],
    ["xn--n3h.example/a__b/c---d.e_f", "xn--n3h.example/a__b/c---d.e_f:latest"],
    [`alpine@${DIGEST}`, `docker.io/library/alpine@${DIGEST}`],
    [`alpine:3.20@${DIGEST}`, `docker.io/library/alpine:3.20@${DIGEST}`],
    [`alpine@sha512:${HEX}${HEX}`, `docker.io/library/alpine@sha512:${HEX}${HEX}`],
    [`a:${"t".repeat(128)}`, `docker.io/library/a:${"t".repeat(128)}`],
    [`h.example/${"p".repeat(255)}`, `h.example/${"p".repeat(255)}:latest`],
  ])("%s is %s", (text, expected) => {
    expect(normal(text)).toBe(expected)
  })

  test.each([
    ["", "it is empty"],
    [HEX, "64 hexadecimal digits are an image's id"],
    ["Alpine", 'must be in lower case, but has "Alpine"'],
    ["org/App", 'must be in lower case, but has "App"'],
    ["ghcr.io/Org/app", 'must be in lower case, but has "Org"'],
    ["alpine:", "the tag is empty"],
    ["alpine:-x", '"-x" is not a tag'],
    [`alpine:${"t".repeat(129)}`, "is not a tag"],
    ["alpine:a b", '"a b" is not a tag'],
    ["alpine@", "it has no algorithm"],
    ["alpine@sha256:abc", "sha256 has 64 digits, not 3"],
    [`alpine@sha256:${HEX.toUpperCase()}`, "its digits must be 0-9 and a-f"],
    [`alpine@md5:${HEX.slice(32)}`, 'the algorithm "md5" is not known'],
    [`alpine@${DIGEST}@${DIGEST}`, "the digest after @ is not one"],
    ["/alpine", "a part of the repository name is empty"],
    ["a//b", "a part of the repository name is empty"],
    ["org/", "a part of the repository name is empty"],
    ["-alpine", '"-alpine" is no part of a repository name'],
    ["a___b", '"a___b" is no part'],
    ["a..b", '"a..b" is no part'],
    ["ghcr.io/../../etc", '".." is no part'],
    ["https://ghcr.io/app", `"https:" is not a registry's host name`],
    ["[fe80::1%eth0]:5000/a", "is not a registry's host name"],
    ["fc00::1:5000/a", "is not a registry's host name"],
    ["-host.example/a", "is not a registry's host name"],
    ["host.example:99999/a", "there is no port 99999"],
    [`h.example/${"p".repeat(256)}`, "has 256 characters, 255 are allowed"],
    ["a\nb", "is no part of a repository name"],
    ["a b", "is no part of a repository name"],
    ["äpfel", "is no part of a repository name"],
  ])("refuses %j: %s", (text, why) => {
    expect(() => parseReference(text)).toThrow(why)
  })

  test("the default registry and the aliases are configured", () => {
    const shortNames = { defaultRegistry: "quay.io", aliases: { alpine: "mirror.example:5000/base/alpine" } }
    const read = (text: string) => formatReference(parseReference(text, shortNames))
    expect(read("org/app:1")).toBe("quay.io/org/app:1")
    expect(read("app")).toBe("quay.io/app")
    expect(read(`alpine:3@${DIGEST}`)).toBe(`mirror.example:5000/base/alpine:3@${DIGEST}`)
    expect(read("docker.io/alpine")).toBe("docker.io/library/alpine")
  })

  test("the digest decides what is fetched", () => {
    expect(manifestName(parseReference(`a:1@${DIGEST}`))).toBe(DIGEST)
    expect(manifestName(parseReference("a:1"))).toBe("1")
    expect(manifestName(parseReference("a"))).toBe("latest")
  })

  test.each([
    ["docker.io/library/alpine:latest", "alpine:latest"],
    ["docker.io/org/app:1", "org/app:1"],
    ["docker.io/localhost/app:1", "docker.io/localhost/app:1"],
    ["docker.io/library/a/b:1", "library/a/b:1"],
    ["ghcr.io/app:1", "ghcr.io/app:1"],
  ])("%s is shown as %s", (text, expected) => {
    expect(familiarReference(parseReference(text))).toBe(expected)
  })
})

/**
 * The reference of distribution/reference 0.6: its regular expression, and splitDockerDomain, in its own order. But that
 * the domain must be there: a name such as a_b.c/d passes there as one without a registry, which nobody can pull.
 */
function oracle(text: string): string | null {
  const alphanumeric = "[a-z0-9]+"
  const component = `${alphanumeric}(?:(?:[_.]|__|[-]+)${alphanumeric})*`
  const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
  const domain = `(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`
  const digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
  const whole = new RegExp(`^(${domain}/${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?(?:@(${digest}))?$`)
  if (/^[a-f0-9]{64}$/.test(text)) return null
  const slash = text.indexOf("/")
  const first = slash < 0 ? "" : text.slice(0, slash)
  let [host, rest] = ["docker.io", text]
  if (slash >= 0 && (first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first))
    [host, rest] = [first === "index.docker.io" ? "docker.io" : first, text.slice(slash + 1)]
  if (host === "docker.io" && !rest.includes("/")) rest = `library/${rest}`
  const remote = rest.includes(":") ? rest.slice(0, rest.indexOf(":")) : rest
  if (remote.toLowerCase() !== remote) return null
  const found = whole.exec(`${host}/${rest}`)
  if (!found) return null
  const name = found[1] ?? ""
  if (name.length - name.indexOf("/") - 1 > 255) return null
  const id = found[3]
  if (id !== undefined && !/^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/.test(id)) return null
  return found[0]
}

function anyText({ int, pick, chance }: Random): string {
  const words = [
    "a",
    "alpine",
    "A",
    "localhost",
    "docker.io",
    "index.docker.io",
    "ghcr.io",
    "[::1]",
    "x_y",
    "x__y",
    "9",
  ]
  const joints = [
    "/",
    "/",
    ":",
    ".",
    "-",
    "_",
    "@",
    "",
    ":5000/",
    `@${DIGEST}`,
    "@sha256:ab",
    ":v1",
    " ",
    "//",
    "..",
    "%",
  ]
  let text = ""
  for (let i = int(1, 5); i > 0; i--) text += pick(words) + (i > 1 || chance(0.4) ? pick(joints) : "")
  return text
}

describe("against distribution/reference", () => {
  test.each([1, 2, 3, 4])("the same is accepted, and means the same (seed %d)", (seed) => {
    const any = random(seed)
    let accepted = 0
    for (let i = 0; i < 5000; i++) {
      const text = anyText(any)
      let found: string | null
      try {
        found = formatReference(parseReference(text))
      } catch {
        found = null
      }
      if (found !== null) accepted++
      expect({ text, found }).toEqual({ text, found: oracle(text) })
    }
    expect(accepted).toBeGreaterThan(500)
  })

  test.each([5, 6])("what is shown reads as what it was (seed %d)", (seed) => {
    const any = random(seed)
    for (let i = 0; i < 5000; i++) {
      const text = anyText(any)
      if (oracle(text) === null) continue
      const reference = parseReference(text)
      expect(parseReference(formatReference(reference))).toEqual(reference)
      expect(parseReference(familiarReference(reference))).toEqual(reference)
    }
  })
})
