import { readdirSync } from "node:fs"
import { join } from "node:path"
import { makeRoot } from "./root.ts"
import { temporaryDirectory } from "./scratch.ts"

/** An archive, by GNU tar, of a root with some megabytes that do not compress; `how` compresses it from standard input. */
export function makeArchive(name: string, how = "cat", megabytes = 1): string {
  const noise = new Uint8Array(megabytes << 20)
  for (let at = 0; at < noise.length; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536))
  const root = makeRoot({ files: { "/srv/noise": noise, "/srv/name": name } })
  const path = join(temporaryDirectory("archive"), name)
  const script = `tar -C "$1" --numeric-owner -c . | ${how} > "$2"`
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", script, "sh", root, path])
  if (exitCode !== 0) throw new Error(`${stderr}`)
  return path
}

/** A state directory apart from that of the test file, and what its cache has in it. */
export function ownState(): { env: Record<string, string>; root: string; left: () => string[] } {
  const root = join(temporaryDirectory("own-state"), "state")
  const list = (dir: string) => readdirSync(join(root, dir)).map((name) => `${dir}/${name}`)
  const left = () =>
    ["layers/new", "layers/sha256", "sources"].flatMap((dir) => {
      try {
        return list(dir)
      } catch {
        // Never made.
        return []
      }
    })
  return { env: { TOYBOX_ROOT: root }, root, left }
}
