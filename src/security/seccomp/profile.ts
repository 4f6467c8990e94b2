/** Profiles in docker's format: an OCI profile whose parts depend on capabilities, processor and kernel. */
import { errnoNumber } from "../../../ffi/errno.ts"
import { ToyboxError } from "../../errors.ts"
import { list, onlyFields, type Read, text } from "../../oci/decode.ts"
import { readSettings, readSyscall, SECCOMP_FIELDS, SYSCALL_FIELDS } from "../../oci/seccomp.ts"
import { type Profile, type ProfileSyscall, readCondition } from "./resolve.ts"

type Json = Readonly<Record<string, unknown>>

/** podman's files name errnos as well as number them; then the name is what counts for a reader. */
function named(object: Json, where: string, name: string, number: string): Json {
  const errno = object[name]
  if (errno === undefined || errno === "") return object
  try {
    return { ...object, [number]: errnoNumber(text(errno, `${where}.${name}`)) }
  } catch (cause) {
    throw new ToyboxError(`${where}.${name}: ${JSON.stringify(errno)} is no errno`, { cause })
  }
}

const ENTRY_FIELDS = [...SYSCALL_FIELDS, "name", "errno", "comment", "includes", "excludes"]

const readEntry: Read<ProfileSyscall> = (value, where) => {
  const object = named(onlyFields(value, where, ENTRY_FIELDS), where, "errno", "errnoRet")
  const { name, names, includes, excludes } = object
  const single = name !== undefined && name !== ""
  if (single && Array.isArray(names) && names.length > 0) {
    throw new ToyboxError(`${where}: has name and names, of which only one can be meant`)
  }
  const syscall = readSyscall(single ? { ...object, names: [name] } : object, where)
  const condition = (field: "includes" | "excludes", given: unknown) =>
    given === undefined || given === null ? {} : { [field]: readCondition(given, `${where}.${field}`) }
  return { ...syscall, ...condition("includes", includes), ...condition("excludes", excludes) }
}

/** Reads a profile in docker's format, of which the OCI's linux.seccomp is a part. Throws ToyboxError, naming the field. */
export function readProfile(value: unknown, where: string): Profile {
  const fields = [...SECCOMP_FIELDS, "archMap", "defaultErrno"]
  const object = named(onlyFields(value, where, fields), where, "defaultErrno", "defaultErrnoRet")
  const archMap = list((item, at) => {
    const { architecture, subArchitectures } = onlyFields(item, at, ["architecture", "subArchitectures"])
    return {
      architecture: text(architecture, `${at}.architecture`),
      subArchitectures: list(text)(subArchitectures ?? [], `${at}.subArchitectures`),
    }
  })(object.archMap ?? [], `${where}.archMap`)
  const settings = readSettings(object, where)
  if (archMap.length > 0 && settings.architectures) {
    throw new ToyboxError(`${where}: has architectures and archMap, of which only one can be meant`)
  }
  return { ...settings, archMap, syscalls: list(readEntry)(object.syscalls ?? [], `${where}.syscalls`) }
}
