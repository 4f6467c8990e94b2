/** state.json of an OCI container: its type and its checked reader. */
import type { CgroupHandle } from "../../cgroup/plan.ts"
import {
  absolutePath,
  flag,
  integer,
  list,
  object,
  parseJson,
  type Read,
  record,
  refuse,
  text,
  word,
} from "../../oci/decode.ts"

/** state.json. */
export interface OciRecord {
  ociVersion: string
  id: string
  bundle: string
  rootfs: string
  /** ISO 8601. */
  created: string
  owner: string
  /** The container's first process, 0 before there is one. */
  pid: number
  /** Field 22 of /proc/PID/stat: with the pid it names one process for ever. */
  startTime: string
  /** The container waits for `start`, or is beyond it. */
  complete: boolean
  cgroup: CgroupHandle | null
  /** The index, in reports, of the first call that tries to run the command. */
  execCall?: number
  /** Where the root is mounted among others' mounts: the id of its mount. */
  rootMounts?: number[]
  annotations: Record<string, string>
}

const version: Read<1 | 2> = (value, where) => (value === 1 || value === 2 ? value : refuse(where, "1 or 2", value))

const cgroup = object<CgroupHandle>(
  { version, path: absolutePath, dirs: record(absolutePath), parents: list(absolutePath) },
  ["version", "path", "dirs", "parents"],
)

// PID_MAX_LIMIT of linux/threads.h.
const pid = integer(0, 1 << 22)

const fields = object<OciRecord>(
  {
    ociVersion: text,
    id: word,
    bundle: text,
    rootfs: text,
    created: text,
    owner: text,
    pid,
    startTime: text,
    complete: flag,
    cgroup,
    execCall: integer(0, 1e6),
    rootMounts: list(integer(0, Number.MAX_SAFE_INTEGER)),
    annotations: record(text),
  },
  ["ociVersion", "id", "bundle", "rootfs", "created", "owner", "pid", "startTime", "complete", "annotations"],
  () => ({ cgroup: null }),
)

/** Reads and checks the text of state.json. Throws SyntaxError where it is no JSON, UsageError that names the field. */
export const decodeRecord = (text: string): OciRecord => fields(parseJson(text), "state.json:")
