/** What many images and many layers cost. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { median, sh, timed } from "./timed.ts"

const IMAGES = 200
const LAYERS = 40
const ROUNDS = 40

/** By turns, so that what slows the machine down slows both: the medians' ratio. */
function ratio(cmds: readonly (readonly string[])[], envs: readonly Record<string, string>[]): number {
  const times = Array.from({ length: ROUNDS }, () =>
    cmds.map((cmd, i) => timed([toyboxBinary(), ...cmd], envs[i] ?? {}).milliseconds),
  )
  const of = (which: number) => median(times.map((round) => round[which] ?? Number.NaN))
  return of(1) / of(0)
}

/** What many cost as a share of one, by what it is. */
export function growth(workspace: string, env: Record<string, string>): Record<string, number> {
  const dir = join(workspace, "growth")
  const archive = join(dir, "root.tar")
  mkdirSync(join(dir, "bin"), { recursive: true })
  sh('cp "$(command -v busybox)" "$1/bin/true"; tar -C "$1" -cf "$2" bin', dir, archive)
  const [few, many] = ["few", "many"].map((name) => ({ ...env, TOYBOX_ROOT: join(dir, name) }))
  if (few === undefined || many === undefined) throw new Error("no state directories")
  timed([toyboxBinary(), "import", "-q", archive, "small:0"], few)
  for (let i = 0; i < IMAGES; i++)
    timed([toyboxBinary(), "import", "-q", "--change", `LABEL n=${i}`, archive, `small:${i}`], many)
  sh(
    `umoci init --layout "$1/l"; umoci new --image "$1/l:x"; umoci raw add-layer --image "$1/l:x" "$2"
     for i in $(seq ${LAYERS - 1}); do
       echo "$i" > "$1/file$i"; tar -C "$1" -cf "$1/one.tar" "file$i"; umoci raw add-layer --image "$1/l:x" "$1/one.tar"
     done`,
    dir,
    archive,
  )
  timed([toyboxBinary(), "pull", "-q", `oci:${dir}/l:x`], few)
  timed([toyboxBinary(), "tag", `oci:${dir}/l:x`, "layers"], few)
  const run = (image: string) => ["run", "--rm", "--net", "none", image, "/bin/true"]
  return {
    [`images of ${IMAGES} / of one`]: ratio([["images"], ["images"]], [few, many]),
    [`a run of ${LAYERS} layers / of one`]: ratio([run("small:0"), run("layers")], [few, few]),
  }
}
