import { describe, expect, test } from "bun:test"
import { DOCKER_SHORT_NAMES, formatReference } from "../../../src/image/reference.ts"
import { imageSource } from "../../../src/image/transport.ts"

const read = (word: string) => imageSource(word, DOCKER_SHORT_NAMES)

/** What it means, in a word or two. */
function told(word: string): string {
  const source = read(word)
  if (source.kind === "registry") return formatReference(source.reference)
  const { kind, ...rest } = source
  return [kind, ...Object.values(rest).map((part) => (typeof part === "object" ? formatReference(part) : part))].join(
    " ",
  )
}

describe("imageSource", () => {
  test.each([
    ["base", "base"],
    ["/srv/root", "path /srv/root"],
    ["./alpine", "path ./alpine"],
    ["../alpine", "path ../alpine"],
    [".", "path ."],
    ["..", "path .."],
    ["some/root", "docker.io/some/root:latest"],
    ["docker://debian", "docker.io/library/debian:latest"],
    ["docker://localhost:5000/x:1", "localhost:5000/x:1"],
    ["alpine", "docker.io/library/alpine:latest"],
    ["docker:dind", "docker.io/library/docker:dind"],
    ["missing/root", "docker.io/missing/root:latest"],
    ["https://example.org/x.tar.gz", "address https://example.org/x.tar.gz"],
    ["HTTP://example.org/x.tar.gz", "address HTTP://example.org/x.tar.gz"],
    ["oci:./layout", "oci ./layout"],
    ["oci:layout:v1", "oci layout v1"],
    ["oci:layout:ghcr.io/org/app:v1", "oci layout ghcr.io/org/app:v1"],
    ["oci-archive:/x/y.tar", "oci-archive /x/y.tar"],
    ["docker-archive:x.tar:alpine", "docker-archive x.tar docker.io/library/alpine:latest"],
  ])("%s is %s", (word, expected) => {
    expect(told(word)).toBe(expected)
  })

  test.each([
    ["oci:", "a path is missing"],
    ["oci::tag", "a path is missing"],
    ["oci:dir:", "is not an image's name"],
    ["docker-archive:x:Upper", "must be in lower case"],
    ["dir:/x", 'not taken from "dir:"'],
    ["docker-daemon:alpine", 'not taken from "docker-daemon:"'],
    ["Missing", "must be in lower case"],
    [".hidden", "is no part of a repository name"],
  ])("refuses %s: %s", (word, why) => {
    expect(() => read(word)).toThrow(why)
  })
})
