/** Where a copy goes: toybox cp beside docker cp, on the same trees. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { command, engineDirectory, rootArchive, succeed, unavailable, until } from "./engine.ts"

cleanUpAfterAll()

const reason = unavailable("/usr/sbin/dockerd", "/usr/bin/containerd")
if (reason !== undefined) console.warn(`docker cp is not compared: ${reason}`)

/** Words of cp: C: is the container, H the directory of this machine. */
const CASES: readonly string[] = [
  "C:/data/dir/one H/new",
  "C:/data/dir/one H",
  "C:/data/dir/one H/",
  "C:/data/dir/one H/file",
  "C:/data/dir/one H/none/",
  "C:/data/dir/one H/none/x",
  "C:/data/dir/one H/to-file",
  "C:/data/dir/one H/to-dir",
  "C:/data/dir/one H/dangling",
  "C:/data/dir H/new",
  "C:/data/dir H/new/",
  "C:/data/dir H",
  "C:/data/dir/ H",
  "C:/data/dir/. H",
  "C:/data/dir/. H/new",
  "C:/data/dir H/file",
  "C:/data/dir H/to-dir",
  "C:data/dir H",
  "C:/data/dir/../dir H",
  "C:/data/link H/new",
  "C:/data/link H",
  "C:/data/link/ H",
  "C:/data/link/. H",
  "C:/data/way H/new",
  "-L C:/data/link H/new",
  "-L C:/data/way H/new",
  "-L C:/data/way H",
  "C:/data/none H",
  "C:/data/dir/one/ H",
  "H/file C:/data/new",
  "H/file C:/data",
  "H/file C:/data/dir/one",
  "H/file C:/data/none/",
  "H/file C:/data/none/x",
  "H/file C:/data/way",
  "H/file C:/data/link",
  "H/file C:/data/link/x",
  "H/tree C:/data/new",
  "H/tree C:/data/new/",
  "H/tree C:/data",
  "H/tree/ C:/data",
  "H/tree/. C:/data",
  "H/tree/. C:/data/new",
  "H/tree C:/data/dir/one",
  "H/tree C:/data/link",
  "H/to-file C:/data/new",
  "H/to-dir C:/data/new",
  "H/to-dir/ C:/data/new",
  "-L H/to-file C:/data/new",
  "-L H/to-dir C:/data/new",
  "H/none C:/data",
]

/** Names, kinds and contents. */
function tree(path: string, name = "."): Record<string, string> {
  const at = join(path, name)
  const stat = lstatSync(at)
  if (stat.isSymbolicLink()) return { [name]: `-> ${readlinkSync(at)}` }
  if (!stat.isDirectory()) return { [name]: readFileSync(at, "utf8") }
  return Object.assign({ [name]: "directory" }, ...readdirSync(at).map((child) => tree(path, join(name, child))))
}

function hostTree(): string {
  const dir = temporaryDirectory("tree")
  mkdirSync(join(dir, "tree/sub"), { recursive: true })
  writeFileSync(join(dir, "file"), "of the host\n")
  writeFileSync(join(dir, "tree/sub/leaf"), "leaf\n")
  symlinkSync("file", join(dir, "to-file"))
  symlinkSync("tree", join(dir, "to-dir"))
  symlinkSync("to-be-made", join(dir, "dangling"))
  return dir
}

/** What the container of each case has in its /data. */
function containerTree(dir: string, inside: string): void {
  mkdirSync(join(dir, "dir"), { recursive: true })
  writeFileSync(join(dir, "dir/one"), "one\n")
  symlinkSync("dir", join(dir, "link"))
  symlinkSync(`${inside}/dir/one`, join(dir, "way"))
}

interface Outcome {
  failed: boolean
  host: Record<string, string>
  container: Record<string, string>
}

// One container for all cases, each with a directory of its own: docker takes a second to make one.
const inside = (index: number) => `/all/${index}`

/** Does all that the cases say; what has come of it. */
function outcomes(engine: readonly string[]): Outcome[] {
  const hosts = CASES.map(hostTree)
  const codes = CASES.map((words, i) => {
    const place = (word: string) =>
      word.replace(/^H/, hosts[i] as string).replace(/^C:(\/?)data/, `box:$1${inside(i).slice(1)}`)
    return command([...engine, "cp", ...words.split(" ").map(place)]).exitCode
  })
  const out = temporaryDirectory("out")
  succeed([...engine, "cp", "box:/all/.", out])
  return CASES.map((_, i) => ({
    failed: codes[i] !== 0,
    host: tree(hosts[i] as string),
    container: tree(join(out, String(i))),
  }))
}

describe.skipIf(reason !== undefined)("cp goes where docker's goes", () => {
  let daemon: Bun.Subprocess | undefined
  let toybox: string[] = []
  let ours: Outcome[] = []
  let theirs: Outcome[] = []

  beforeAll(async () => {
    const directory = engineDirectory()
    const state = temporaryDirectory("state")
    chmodSync(state, 0o700)
    const socket = join(directory, "socket")
    const docker = ["docker", "--host", `unix://${socket}`]
    toybox = ["env", `TOYBOX_ROOT=${state}`, toyboxBinary()]
    daemon = Bun.spawn(
      [
        ...["timeout", "-k", "10", "170", "dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none"],
        ...[
          "--data-root",
          join(directory, "root"),
          "--exec-root",
          join(directory, "exec"),
          "--host",
          `unix://${socket}`,
        ],
        ...["--pidfile", join(directory, "pid"), "--storage-driver", "vfs"],
      ],
      { stdio: ["ignore", "ignore", "ignore"] },
    )
    await until(() => command([...docker, "info"]).exitCode === 0, 30)
    const all = join(temporaryDirectory("cases"), "all")
    CASES.forEach((_, i) => {
      containerTree(join(all, String(i)), inside(i))
    })
    succeed([...docker, "import", rootArchive(), "image"])
    succeed([...docker, "create", "--name", "box", "image", "true"])
    succeed([...toybox, "run", "--name", "box", "base", "true"])
    for (const engine of [docker, toybox]) succeed([...engine, "cp", all, "box:/"])
    theirs = outcomes(docker)
    ours = outcomes(toybox)
    succeed([...docker, "rm", "box"])
  }, 120_000)

  afterAll(async () => {
    command([...toybox, "rm", "--all", "--force"])
    daemon?.kill("SIGTERM")
    await daemon?.exited
  }, 30_000)

  test.each(CASES.map((words, i) => [words, i] as const))("%s", (_, i) => {
    expect(ours[i]).toEqual(theirs[i] as Outcome)
  })

  test("and some of it is done, and some refused", () => {
    expect(theirs.filter(({ failed }) => failed).length).toBeWithin(8, 20)
    expect(ours[CASES.indexOf("C:/data/dir/. H/new")]?.host).toMatchObject({ "new/one": "one\n" })
    expect(ours[CASES.indexOf("H/tree C:/data")]?.container).toMatchObject({ "tree/sub/leaf": "leaf\n" })
  })
})
