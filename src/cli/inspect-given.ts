/** What docker inspect shows of a container as it was asked for, by the options that it was made with. */
import type { StoredRequest } from "../container/stored-request.ts"
import { type ParsedArgv, parseLeading } from "./argv.ts"
import { RUN_OPTIONS } from "./commands/run-options.ts"
import { mountFields, mountType } from "./flags/mounts.ts"
import { normalPath } from "./flags/path.ts"
import { deviceParts } from "./flags/security.ts"
import { listOrNull, omitEmpty } from "./go-values.ts"

/** The options that it was made with. */
export const givenOptions = ({ commandLine }: StoredRequest): ParsedArgv =>
  parseLeading(commandLine?.words ?? [], RUN_OPTIONS)

/** What stands before and behind the first colon. */
function cut(text: string): [string, string] {
  const colon = text.indexOf(":")
  return colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)]
}

function deviceOf(text: string) {
  const { from, to, access } = deviceParts(text)
  return { PathOnHost: from, PathInContainer: to, CgroupPermissions: access }
}

function mountOf(text: string): object {
  const fields = mountFields(text)
  const source = fields.get("source")
  const readonly = fields.get("readonly")
  return {
    Type: mountType(fields),
    ...(source === undefined ? {} : { Source: source }),
    Target: fields.get("target"),
    ...(readonly === undefined || readonly === "false" ? {} : { ReadOnly: true }),
  }
}

const wholeOrNone = (value: number) => (Number.isFinite(value) ? value : -1)

/** --ulimit: what toybox limits by itself was not asked for. */
function ulimits(given: readonly string[], { process }: StoredRequest) {
  const names = new Set(given.map((text) => text.split("=", 1)[0]?.toLowerCase()))
  return process.rlimits
    .map(({ type, soft, hard }) => ({
      Name: type.slice(7).toLowerCase(),
      Hard: wholeOrNone(hard),
      Soft: wholeOrNone(soft),
    }))
    .filter(({ Name }) => names.has(Name))
}

/** HostConfig with what of it is known by the options alone. */
export function withGiven(config: object, stored: StoredRequest, { strings, lists }: ParsedArgv): object {
  const list = (name: keyof typeof RUN_OPTIONS) => lists.get(name) ?? []
  const tmpfs = list("tmpfs").map(cut)
  const mounts = list("mount").map(mountOf)
  return omitEmpty(
    {
      ...config,
      ContainerIDFile: strings.get("cidfile") ?? "",
      VolumesFrom: listOrNull(list("volumes-from")),
      SecurityOpt: listOrNull(list("security-opt")),
      Devices: list("device").map(deviceOf),
      Ulimits: ulimits(list("ulimit"), stored),
      ...(tmpfs.length === 0 ? {} : { Tmpfs: Object.fromEntries(tmpfs) }),
      ...(mounts.length === 0 ? {} : { Mounts: mounts }),
    },
    { Tmpfs: {}, Mounts: [] },
  )
}

/** Where --mount has a tmpfs: docker tells of these, and not of --tmpfs. */
export const givenTmpfs = ({ lists }: ParsedArgv): ReadonlySet<string> =>
  new Set(
    (lists.get("mount") ?? [])
      .map(mountFields)
      .filter((fields) => mountType(fields) === "tmpfs")
      .map((fields) => fields.get("target") ?? ""),
  )

/** Where -v has something of a name or a path: docker tells of these as binds, and of others among the mounts alone. */
export const givenBinds = ({ lists }: ParsedArgv): ReadonlySet<string> =>
  new Set(
    (lists.get("volume") ?? []).flatMap((text) => {
      const [, to] = text.split(":")
      return to === undefined ? [] : [normalPath(to)]
    }),
  )

/** As it was given, or as the image has it. */
export const givenUser = ({ process }: StoredRequest, { strings }: ParsedArgv): string =>
  process.user === "0" && !strings.has("user") ? "" : process.user

/** Of Config: whose the streams are. */
export function givenStreams({ attach = ["stdout", "stderr"], interactive }: StoredRequest, { booleans }: ParsedArgv) {
  // Docker has the streams of what is left to itself as nobody's.
  const isLeft = booleans.get("detach") ?? false
  const has = (name: (typeof attach)[number]) => !isLeft && attach.includes(name)
  return {
    AttachStdin: has("stdin") || (interactive && !isLeft),
    AttachStdout: has("stdout"),
    AttachStderr: has("stderr"),
    OpenStdin: interactive,
    StdinOnce: interactive && !isLeft,
  }
}
