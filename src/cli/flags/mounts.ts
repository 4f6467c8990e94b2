/** -v, --mount, --tmpfs, --shm-size: options → spec.mounts. */
import { exists, stat } from "../../../ffi/fs.ts"
import { parseSize } from "../../cgroup/units.ts"
import { UsageError } from "../../errors.ts"
import type { Mount } from "../../oci/runtime.ts"
import type { Paths } from "../../paths.ts"
import { isMountOption, propagationFlag } from "../../plan/mount-options.ts"
import { DEFAULT_SHM_SIZE } from "../../spec/defaults.ts"
import { isVolumeName } from "../../volume/volume.ts"
import type { ParsedArgv } from "../argv.ts"
import { normalPath } from "./path.ts"
import { refusedPlace, refusedVolume } from "./places.ts"
import { type MountWishes, settleVolumes, volumesFrom } from "./volumes.ts"

function destination(option: string, text: string, path: string): string {
  if (!path.startsWith("/")) {
    throw new UsageError(`${option}: "${text}": the path in the container must be absolute, not "${path}"`)
  }
  const normal = normalPath(path)
  const why = refusedPlace(normal)
  const hint = normal === "/proc" ? { hint: "--pid host shows the processes of the host there" } : {}
  if (why !== null) throw new UsageError(`${option}: "${text}": ${why}`, hint)
  return normal
}

/** Of what covers the container's /dev. Throws UsageError where it has no devices. */
function checkDevices(option: string, text: string, place: string, from: string | null): void {
  const why = from === null ? refusedVolume(place) : null
  if (why !== null) throw new UsageError(`${option}: "${text}": ${why}`)
  if (place === "/dev" && from !== null && !exists(`${from}/null`))
    throw new UsageError(`${option}: "${text}": ${from} has no devices, and cannot be /dev`, {
      hint: "/dev:/dev has those of the host",
    })
}

/** Whether a source is a path, not the name of a volume. */
const isPath = (source: string) => /^(\.{0,2}\/|\.{1,2}$)/.test(source)

/** The name of a volume. */
function volumeName(option: string, text: string, name: string): string {
  if (isVolumeName(name)) return name
  throw new UsageError(`${option}: "${text}": "${name}" is neither a path of the host nor a name for a volume`, {
    hint: `write ./${name} for a directory here; names have 2 to 201 letters, digits, and after the first also _ . -`,
  })
}

function source(option: string, text: string, path: string): string {
  if (!isPath(path)) {
    throw new UsageError(`${option}: "${text}": "${path}" is no path of the host`, {
      hint: `write ./${path} for a directory here; type=volume for a volume of that name`,
    })
  }
  const absolute = path.startsWith("/") ? path : `${process.cwd()}/${path}`
  if (!stat(absolute)) {
    throw new UsageError(`${option}: "${text}": ${absolute} does not exist`, {
      hint: `make it first: mkdir -p ${absolute}`,
    })
  }
  return absolute
}

/** "ro" of a bind covers what is mounted below it too, as docker has it since version 25. */
const bindOptions = (options: readonly string[]) => [
  "rbind",
  ...options.map((option) => (option === "ro" ? "rro" : option)),
]

const VOLUME_OPTIONS = new Set(["ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated", "bind", "rbind"])

/** -v [SRC:]DST[:OPTIONS]; of type "volume" where SRC is a name (then its source), or there is none (then ""). */
export function parseVolume(option: string, text: string): Mount {
  const parts = text.split(":")
  const [from, to, options] = parts.length === 1 ? ["", text] : parts
  if (parts.length > 3 || !to || (parts.length > 1 && !from)) {
    throw new UsageError(`${option}: "${text}" is no volume (use SRC:DST, SRC:DST:ro or DST)`, {
      hint: parts.length > 3 ? `for a path with a colon use --mount type=bind,source=…,target=…` : undefined,
    })
  }
  const words = options ? options.split(",") : []
  for (const word of words) {
    if (!VOLUME_OPTIONS.has(word) && !isMountOption(word)) {
      throw new UsageError(
        `${option}: "${text}": unknown option "${word}" (use ro, rw, nocopy, rslave, rshared, nosuid, nodev, noexec)`,
      )
    }
  }
  if (words.includes("ro") && words.includes("rw"))
    throw new UsageError(`${option}: "${text}": ro and rw exclude each other`)
  // SELinux labels and caching hints: nothing to do on a kernel without SELinux, or on Linux at all.
  const kept = words.filter((word) => isMountOption(word) && word !== "bind" && word !== "rbind")
  const place = destination(option, text, to)
  if (from && isPath(from)) {
    if (words.includes("nocopy")) throw new UsageError(`${option}: "${text}": nocopy is for volumes`)
    const directory = source(option, text, from)
    checkDevices(option, text, place, directory)
    return { destination: place, type: "bind", source: directory, options: bindOptions(kept) }
  }
  checkDevices(option, text, place, null)
  const nocopy = words.includes("nocopy") ? ["nocopy"] : []
  const name = from ? volumeName(option, text, from) : ""
  return { destination: place, type: "volume", source: name, options: [...bindOptions(kept), ...nocopy] }
}

/** --tmpfs DST[:OPTIONS]. */
export function parseTmpfs(text: string): Mount {
  const colon = text.indexOf(":")
  const path = colon < 0 ? text : text.slice(0, colon)
  const options = colon < 0 ? [] : text.slice(colon + 1).split(",")
  return {
    destination: destination("--tmpfs", text, path),
    type: "tmpfs",
    source: "tmpfs",
    options: tmpfsOptions("--tmpfs", text, options),
  }
}

/** What values of the file system's own options look like: tmpfs(5). */
const TMPFS_VALUES: Readonly<Record<string, RegExp>> = {
  mode: /^[0-7]{1,5}$/,
  uid: /^\d{1,10}$/,
  gid: /^\d{1,10}$/,
  nr_inodes: /^\d+[kmg]?$/i,
  nr_blocks: /^\d+[kmg]?$/i,
}

function tmpfsOptions(option: string, text: string, options: readonly string[]): string[] {
  const result = ["nosuid", "nodev", "noexec"]
  for (const word of options) {
    const equals = word.indexOf("=")
    const key = equals < 0 ? word : word.slice(0, equals)
    const value = equals < 0 ? undefined : word.slice(equals + 1)
    if (key === "size") {
      const size = value === undefined ? null : /^\d{1,3}%$/.test(value) ? value : parseSize(value)
      if (size === null) throw new UsageError(`${option}: "${text}": "${value}" is not a size (use 64M, 1g or 10%)`)
      result.push(`size=${size}`)
    } else if (Object.hasOwn(TMPFS_VALUES, key) && TMPFS_VALUES[key]?.test(value ?? "")) {
      result.push(word)
    } else if (isMountOption(word) && propagationFlag(word) === undefined && !word.endsWith("bind")) {
      result.push(word)
    } else {
      throw new UsageError(
        `${option}: "${text}": unknown tmpfs option "${word}" (use size=, mode=, uid=, gid=, ro, exec, suid, dev)`,
      )
    }
  }
  return result
}

const ALIASES: Record<string, string> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  "bind-propagation": "propagation",
}

function isTrue(text: string, field: string, value = "false"): boolean {
  if (value === "true" || value === "1") return true
  if (value === "false" || value === "0") return false
  throw new UsageError(`--mount: "${text}": ${field}=${value} is neither true nor false`)
}

/**
 * The fields of a line of comma-separated values, as docker's --mount has it (RFC 4180): a field in quotes may have commas in
 * it, and a quote is written twice there.
 */
function csvFields(text: string): string[] {
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (;;) {
    const [, quoted, plain = "", end] = field.exec(text) ?? []
    if (end === undefined) {
      throw new UsageError(`--mount: '${text}': a quote is not closed, or is inside a field`, {
        hint: `put the whole field in quotes: --mount 'type=bind,"source=/a,b",target=/c'`,
      })
    }
    fields.push(quoted?.replaceAll('""', '"') ?? plain)
    if (end === "") return fields
  }
}

const MOUNT_FIELDS = {
  bind: ["source", "readonly", "propagation", "bind-recursive"],
  tmpfs: ["readonly", "tmpfs-size", "tmpfs-mode"],
  volume: ["source", "readonly", "volume-nocopy"],
}

// Of docker where the machine's files are another machine's: there is nothing to be kept consistent.
const CONSISTENCIES = ["default", "consistent", "cached", "delegated"]

/** The fields of --mount by their names; a flag is "true". */
export function mountFields(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const word of csvFields(text)) {
    const equals = word.indexOf("=")
    const key = equals < 0 ? word : word.slice(0, equals)
    fields.set(ALIASES[key] ?? key, equals < 0 ? "true" : word.slice(equals + 1))
  }
  return fields
}

/** Without a type a volume, or a bind where the source is a path. */
export function mountType(fields: ReadonlyMap<string, string>): string {
  const from = fields.get("source")
  return fields.get("type") ?? (from !== undefined && isPath(from) ? "bind" : "volume")
}

/**
 * --mount type=bind|volume|tmpfs,source=…,target=…[,readonly][,bind-propagation=…][,volume-nocopy][,tmpfs-size=…][,tmpfs-mode=…];
 * without a type a volume, as docker has it, or a bind where the source is a path.
 */
export function parseMount(text: string): Mount {
  const fields = mountFields(text)
  if (CONSISTENCIES.includes(fields.get("consistency") ?? "")) fields.delete("consistency")
  const from = fields.get("source")
  const type = mountType(fields)
  if (type !== "bind" && type !== "tmpfs" && type !== "volume")
    throw new UsageError(`--mount: "${text}": unknown type "${type}" (use bind, volume or tmpfs)`)
  const target = fields.get("target")
  if (!target)
    throw new UsageError(
      `--mount: "${text}" has no target (use type=${type},${type === "bind" ? "source=…," : ""}target=/path)`,
    )
  const allowed = MOUNT_FIELDS[type]
  for (const key of fields.keys()) {
    if (key !== "type" && key !== "target" && !allowed.includes(key)) {
      throw new UsageError(`--mount: "${text}": unknown field "${key}" for type=${type} (use ${allowed.join(", ")})`)
    }
  }
  const readonly = isTrue(text, "readonly", fields.get("readonly")) ? ["ro"] : []
  if (type === "tmpfs") {
    const size = fields.get("tmpfs-size")
    const mode = fields.get("tmpfs-mode")
    const options = [...readonly, ...(size ? [`size=${size}`] : []), ...(mode ? [`mode=${mode}`] : [])]
    return {
      destination: destination("--mount", text, target),
      type,
      source: "tmpfs",
      options: tmpfsOptions("--mount", text, options),
    }
  }
  if (type === "volume") {
    const nocopy = isTrue(text, "volume-nocopy", fields.get("volume-nocopy")) ? ["nocopy"] : []
    const name = from ? volumeName("--mount", text, from) : ""
    const options = [...bindOptions(readonly), ...nocopy]
    const place = destination("--mount", text, target)
    checkDevices("--mount", text, place, null)
    return { destination: place, type, source: name, options }
  }
  if (!from) throw new UsageError(`--mount: "${text}" has no source`)
  const propagation = fields.get("propagation")
  if (propagation !== undefined && propagationFlag(propagation) === undefined) {
    throw new UsageError(
      `--mount: "${text}": unknown propagation "${propagation}" (use rprivate, private, rshared, shared, rslave, slave)`,
    )
  }
  const options = bindOptions([...readonly, ...(propagation ? [propagation] : [])])
  const recursive = fields.get("bind-recursive") ?? "enabled"
  if (recursive !== "enabled" && recursive !== "disabled") {
    throw new UsageError(`--mount: "${text}": bind-recursive=${recursive} is not known (use enabled or disabled)`)
  }
  if (recursive === "disabled") options[0] = "bind"
  const [place, directory] = [destination("--mount", text, target), source("--mount", text, from)]
  checkDevices("--mount", text, place, directory)
  return { destination: place, type, source: directory, options }
}

/** All mounts asked for; two on one place are refused, but for what is taken from containers, which gives way. */
export function mountOptions(argv: ParsedArgv, paths: Paths): MountWishes {
  const volume = argv.typed.get("volume") ?? "-v"
  const mounts = [
    ...(argv.lists.get("volume") ?? []).map((text) => parseVolume(volume, text)),
    ...(argv.lists.get("mount") ?? []).map(parseMount),
    ...(argv.lists.get("tmpfs") ?? []).map(parseTmpfs),
  ]
  const seen = new Set<string>()
  for (const mount of mounts) {
    if (seen.has(mount.destination)) throw new UsageError(`two mounts have the same destination ${mount.destination}`)
    seen.add(mount.destination)
  }
  const wishes = settleVolumes(paths, mounts)
  for (const text of argv.lists.get("volumes-from") ?? []) {
    const theirs = volumesFrom(paths, text)
    const isFree = ({ destination }: { destination: string }) => !seen.has(destination)
    wishes.mounts.push(...theirs.mounts.filter(isFree))
    wishes.volumes.push(...theirs.volumes.filter(isFree))
    for (const { destination } of theirs.mounts) seen.add(destination)
  }
  return wishes
}

/** --shm-size in bytes. */
export function shmSize(argv: ParsedArgv): number {
  const text = argv.strings.get("shm-size")
  if (text === undefined) return DEFAULT_SHM_SIZE
  const size = parseSize(text)
  if (size === null || size <= 0) throw new UsageError(`--shm-size: "${text}" is not a size (use 64M or 1g)`)
  return size
}
