import { expect, test } from "bun:test"
import { goTime, imageFields } from "../../../src/cli/docker-fields.ts"
import type { ImageRecord } from "../../../src/image/store/records.ts"

const image = (name: string, more: Partial<ImageRecord> = {}): ImageRecord => ({
  name,
  id: `sha256:${"ab".repeat(32)}`,
  manifest: `sha256:${"cd".repeat(32)}`,
  digest: `sha256:${"ef".repeat(32)}`,
  platform: "linux/amd64",
  layers: [],
  size: 7_654_321,
  pulled: "2026-01-01T00:00:00Z",
  ...more,
})

test("images as docker names them", () => {
  const named = (name: string) => {
    const { Repository, Tag } = imageFields(image(name), false) as { Repository: string; Tag: string }
    return [Repository, Tag]
  }
  expect(named("docker.io/library/alpine:3.20")).toEqual(["alpine", "3.20"])
  expect(named("docker.io/user/app:1")).toEqual(["user/app", "1"])
  expect(named("localhost:5000/a/b:latest")).toEqual(["localhost:5000/a/b", "latest"])
  expect(named(`localhost:5000/a@sha256:${"0".repeat(64)}`)).toEqual(["localhost:5000/a", "<none>"])
  expect(named(image("").id)).toEqual(["<none>", "<none>"])
  expect(named("oci:/srv/layout")).toEqual(["oci:/srv/layout", "<none>"])
  expect(imageFields(image("x.org/a:1"), false)).toMatchObject({ ID: "abababababab", Size: "7.7 MB", CreatedSince: "" })
  expect(imageFields(image("x.org/a:1", { created: "2024-02-03T04:05:06.7Z" }), true)).toMatchObject({
    ID: image("").id,
    CreatedAt: "2024-02-03 04:05:06 +0000 UTC",
  })
})

test("times as Go prints them", () => {
  expect(goTime("1999-12-31T23:59:59.999Z")).toBe("1999-12-31 23:59:59 +0000 UTC")
})
