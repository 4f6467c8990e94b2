/** The checked reader of config.json: runtime-spec 1.2, config.md and config-linux.md. Pure. */
import { UsageError } from "../errors.ts"
import { checkSpec } from "./check.ts"
import {
  absolutePath,
  below,
  flag,
  integer,
  list,
  object,
  oneOf,
  parseJson,
  type Read,
  record,
  refuse,
  text,
  uint32,
  unsupported,
  word,
} from "./decode.ts"
import { ALLOWED_DEVICES, DEFAULT_DEVICE_RULES, DEFAULT_DEVICES } from "./devices.ts"
import { cleanPath, readMapping, readMounts } from "./read-mounts.ts"
import { absentProcess, processAt } from "./read-process.ts"
import { readResources } from "./read-resources.ts"
import type * as oci from "./runtime.ts"
import { readSeccomp } from "./seccomp.ts"

/** More than any engine writes; JSON.parse needs several times its size. */
const MOST_CHARACTERS = 16 * 1024 * 1024

const version: Read<string> = (value, where) => {
  const found = text(value, where)
  return /^1\.\d+\.\d+(-[\w.+-]+)?(\+[\w.-]+)?$/.test(found)
    ? found
    : refuse(where, "a version 1.x of the runtime-spec", value)
}

const hook = object<oci.Hook>({ path: absolutePath, args: list(text), env: list(text), timeout: integer(1, 2 ** 31) }, [
  "path",
])
const hooks = object<oci.Hooks>({
  prestart: list(hook),
  createRuntime: list(hook),
  createContainer: list(hook),
  startContainer: list(hook),
  poststart: list(hook),
  poststop: list(hook),
})

// A new namespace's path may be written as an empty text.
const namespacePath: Read<string> = (value, where) => (value === "" ? "" : absolutePath(value, where))
const namespace: Read<oci.Namespace> = (value, where) => {
  const { path, ...rest } = object<oci.Namespace>(
    {
      type: oneOf(["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]),
      path: namespacePath,
    },
    ["type"],
  )(value, where)
  return path ? { ...rest, path } : rest
}

const devicePath: Read<string> = (value, where) => {
  const path = cleanPath(absolutePath(value, where))
  return path === "/" ? refuse(where, "below the root", value) : path
}

const device: Read<oci.Device> = (value, where) => {
  const found = object<oci.Device>(
    {
      type: oneOf(["c", "b", "p", "u"]),
      path: devicePath,
      // What dev_t of Linux holds: makedev(3).
      major: integer(-1, 0xfff),
      minor: integer(-1, 0xfffff),
      fileMode: uint32,
      uid: uint32,
      gid: uint32,
    },
    ["type", "path"],
    () => ({ major: 0, minor: 0 }),
  )(value, where)
  if (found.type === "p") return { ...found, major: 0, minor: 0 }
  for (const key of ["major", "minor"] as const) {
    const given = (value as Record<string, unknown>)[key]
    if (given === undefined || given === null) throw new UsageError(`${below(where, key)}: is missing`)
    if (found[key] < 0) refuse(below(where, key), "0 or more for a device node", given)
  }
  return found
}

const personality: Read<oci.Personality> = (value, where) => {
  const { domain, flags } = object<oci.Personality & { flags?: string[] }>(
    { domain: oneOf(["LINUX", "LINUX32"]), flags: list(text) },
    ["domain"],
  )(value, where)
  // "Currently no flag values are supported": config-linux.md.
  if (flags && flags.length > 0) refuse(`${where}.flags`, "empty: no flags are defined", flags)
  return { domain }
}

const timeOffset = object<oci.TimeOffset>({ secs: integer(-(2 ** 53), 2 ** 53), nanosecs: integer(0, 999_999_999) })

const sysctl = record(text)

/** Fields that toybox knows and cannot do: an error instead of a container that lacks them. */
interface Refused {
  intelRdt?: never
  netDevices?: never
  memoryPolicy?: never
}

const NOT_POSSIBLE = "toybox does not support it"

const linux: Read<oci.Linux & Refused> = object<oci.Linux & Refused>(
  {
    namespaces: list(namespace),
    uidMappings: list(readMapping),
    gidMappings: list(readMapping),
    timeOffsets: record(timeOffset),
    devices: list(device),
    cgroupsPath: text,
    resources: readResources,
    sysctl,
    rootfsPropagation: oneOf([
      "",
      ...["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"],
    ]),
    maskedPaths: list(absolutePath),
    readonlyPaths: list(absolutePath),
    mountLabel: text,
    personality,
    seccomp: readSeccomp,
    intelRdt: unsupported(`cache and memory bandwidth allocation: ${NOT_POSSIBLE}`),
    netDevices: unsupported(`moving network devices into the container: ${NOT_POSSIBLE}`),
    memoryPolicy: unsupported(`NUMA memory policies: ${NOT_POSSIBLE}`),
  },
  [],
  () => ({
    namespaces: [],
    devices: [],
    cgroupsPath: "",
    resources: {},
    sysctl: {},
    maskedPaths: [],
    readonlyPaths: [],
  }),
)

const FOREIGN = "is for another platform; this is a container for Linux"

interface Foreign {
  windows?: never
  solaris?: never
  vm?: never
  zos?: never
  freebsd?: never
}

const config = (bundle: string): Read<oci.Spec & Foreign> => {
  const root = object<oci.Root>({ path: word, readonly: flag }, ["path"])
  return object<oci.Spec & Foreign>(
    {
      ociVersion: version,
      hostname: text,
      domainname: text,
      root: (value, where) => {
        const found = root(value, where)
        return { ...found, path: found.path.startsWith("/") ? found.path : `${bundle}/${found.path}` }
      },
      process: processAt,
      mounts: readMounts(bundle),
      hooks,
      annotations: record(text),
      linux,
      windows: unsupported(FOREIGN),
      solaris: unsupported(FOREIGN),
      vm: unsupported(FOREIGN),
      zos: unsupported(FOREIGN),
      freebsd: unsupported(FOREIGN),
    },
    ["ociVersion", "root", "linux"],
    () => ({ mounts: [], process: absentProcess() }),
  )
}

function parse(text: string, where: string): unknown {
  if (text.length > MOST_CHARACTERS) {
    throw new UsageError(`${where}: is longer than ${MOST_CHARACTERS / 1024 / 1024} million characters`)
  }
  try {
    return parseJson(text)
  } catch (error) {
    throw new UsageError(`${where}: is no JSON (${error instanceof Error ? error.message : error})`)
  }
}

/**
 * "The runtime MUST also supply" the default devices, and the container may use them whatever the rules say: what engines
 * write relies on both. Nothing else is allowed that no rule allows.
 */
function withDefaultDevices(spec: oci.Spec): oci.Spec {
  const { devices, resources } = spec.linux
  const lacking = DEFAULT_DEVICES.filter(([path]) => !devices.some((device) => device.path === path))
  const defaults = lacking.map(
    ([path, major, minor]): oci.Device => ({ type: "c", path, major, minor, fileMode: 0o666 }),
  )
  const [denyAll] = DEFAULT_DEVICE_RULES
  const rules = [...(denyAll ? [denyAll] : []), ...(resources.devices ?? []), ...ALLOWED_DEVICES]
  return {
    ...spec,
    linux: { ...spec.linux, devices: [...devices, ...defaults], resources: { ...resources, devices: rules } },
  }
}

/**
 * Reads and checks the text of config.json; `bundle` is the absolute path of its directory, to which a relative root and
 * relative bind sources are made absolute. Fields that nobody knows are left out; known ones are checked, and refused where
 * toybox cannot do what they ask. Throws UsageError that names the field: "config.json: process.args: must be …".
 */
export function readSpec(text: string, bundle: string): oci.Spec {
  const spec = config(bundle)(parse(text, "config.json"), "config.json:")
  checkSpec(spec, "config.json:")
  return withDefaultDevices(spec)
}

/** Reads and checks a process, as in the file of `exec --process`; `where` is the name of that file. Throws UsageError. */
export const readProcess = (value: unknown, where: string): oci.Process => processAt(value, `${where}:`)
