/** Images from a registry on this machine: pulled and unpacked, beside podman, and skopeo with umoci; and listed. */
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { startRegistry } from "../helpers/registry.ts"
import { growth } from "./growth.ts"
import { verdict } from "./report.ts"
import { median, sh, timed } from "./timed.ts"
import { makeArchive, warmMemory } from "./unpack.ts"

/** Shares of podman's time, of skopeo's and umoci's, of one layer's; megabytes; milliseconds of one that is there; of one image's or one layer's. */
const TARGETS = { podman: 0.5, umoci: 0.6, layers: 0.9, memory: 200, again: 50, growth: 1.3 }
const LAYERS = 4

/** An image of one layer, and the same in four, in an OCI layout; then in the registry. */
function makeImages(workspace: string, host: string): { entries: number; bytes: number; size: number } {
  const { path, entries, bytes } = makeArchive(workspace)
  const layout = join(workspace, "layout")
  const parts = join(workspace, "parts")
  mkdirSync(parts)
  sh(
    `umoci init --layout "$1"; umoci new --image "$1:one"; zcat "$2" > "$3/all.tar"; umoci raw add-layer --image "$1:one" "$3/all.tar"
     tar -tf "$3/all.tar" > "$3/names"; split -n "l/${LAYERS}" "$3/names" "$3/names."
     umoci new --image "$1:four"; mkdir "$3/tree"; tar -C "$3/tree" -xf "$3/all.tar"
     for part in "$3"/names.*; do
       tar -C "$3/tree" --no-recursion -cf "$3/part.tar" -T "$part"; umoci raw add-layer --image "$1:four" "$3/part.tar"
     done
     for tag in one four; do skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$1:$tag" "docker://$4/big:$tag"; done`,
    layout,
    path,
    parts,
    host,
  )
  const manifest = JSON.parse(
    Bun.spawnSync(["skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${host}/big:one`]).stdout.toString(),
  )
  rmSync(parts, { recursive: true })
  return { entries, bytes, size: manifest.layers[0].size }
}

/** Prints the figures; true where a target was missed. */
export async function pull(workspace: string, rounds: number): Promise<boolean> {
  const missing = ["docker-registry", "skopeo", "umoci", "podman"].filter((name) => Bun.which(name) === null)
  if (missing.length > 0) {
    console.log(`\npull: skipped: not installed: ${missing.join(", ")}`)
    return false
  }
  const registry = await startRegistry()
  const env = { PATH: process.env.PATH ?? "", HOME: workspace, TOYBOX_NETWORK: "none" }
  const lines: string[] = []
  let over = false
  const tell = (what: string, value: number, bound: number) => {
    lines.push(`${what}: ${verdict(value, bound)}`)
    over ||= !(value <= bound)
  }
  try {
    const { entries, bytes, size } = makeImages(workspace, registry.host)
    const state = (name: string) => ({ ...env, TOYBOX_ROOT: join(workspace, name) })
    const times = { one: [] as number[], four: [] as number[], podman: [] as number[], umoci: [] as number[] }
    let memory = 0
    const run = (cmd: string[], environment: Record<string, string> = env) => {
      Bun.spawnSync(["sync"])
      warmMemory()
      return timed(cmd, environment)
    }
    for (let round = 0; round < rounds; round++) {
      for (const tag of ["one", "four"] as const) {
        const { milliseconds, megabytes } = run(
          [toyboxBinary(), "pull", "-q", `${registry.host}/big:${tag}`],
          state(`pull-${tag}-${round}`),
        )
        times[tag].push(milliseconds)
        memory = Math.max(memory, megabytes)
      }
      const dir = join(workspace, `podman-pull-${round}`)
      const store = ["--root", join(dir, "root"), "--runroot", join(dir, "run"), "--tmpdir", join(dir, "tmp")]
      times.podman.push(
        run(["podman", ...store, "pull", "-q", "--tls-verify=false", `${registry.host}/big:one`]).milliseconds,
      )
      const copy =
        'skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$1/big:one" "oci:$2/l:x" && umoci unpack --image "$2/l:x" "$2/b"'
      const target = join(workspace, `umoci-${round}`)
      mkdirSync(target)
      times.umoci.push(run(["sh", "-c", copy, "-", registry.host, target]).milliseconds)
      for (const name of [
        dir,
        target,
        ...(round > 0 ? ["one", "four"].map((tag) => join(workspace, `pull-${tag}-${round}`)) : []),
      ])
        rmSync(name, { recursive: true, force: true })
    }
    for (const [name, list] of Object.entries(times))
      lines.push(`${name}: ${list.map((time) => time.toFixed(0)).join(" ")} ms`)
    const one = median(times.one)
    tell("toybox / podman pull", one / median(times.podman), TARGETS.podman)
    tell("toybox / skopeo copy and umoci unpack", one / median(times.umoci), TARGETS.umoci)
    tell(`${LAYERS} layers / one`, median(times.four) / one, TARGETS.layers)
    tell("peak memory, megabytes", Math.round(memory), TARGETS.memory)
    const again = Array.from(
      { length: 15 },
      () => timed([toyboxBinary(), "pull", "-q", `${registry.host}/big:one`], state("pull-one-0")).milliseconds,
    )
    tell("a pull of what is there, milliseconds", median(again), TARGETS.again)

    for (const [what, ratio] of Object.entries(growth(workspace, env))) tell(what, ratio, TARGETS.growth)
    const gzip = (size / 1e6).toFixed(0)
    console.log(
      `\npull: ${entries} entries, ${(bytes / 1e6).toFixed(0)} MB, ${gzip} MB gzip; ${rounds} rounds by turns\n${lines.join("\n")}`,
    )
    return over
  } finally {
    await registry.stop()
  }
}
