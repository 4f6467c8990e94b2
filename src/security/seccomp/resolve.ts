/** What a profile comes to for one container: the parts that its capabilities, processor and kernel call for. */
import { ToyboxError } from "../../errors.ts"
import { list, onlyFields, text } from "../../oci/decode.ts"
import type { LinuxSeccomp, SeccompSyscall } from "../../oci/seccomp.ts"

/** What a part of a profile may depend on. */
export interface Condition {
  caps?: readonly string[]
  /** As Go names processors. */
  arches?: readonly string[]
  minKernel?: readonly [number, number]
}

export interface ProfileSyscall extends SeccompSyscall {
  /** All of it must be so. */
  includes?: Condition
  /** None of it may be so. */
  excludes?: Condition
}

export interface Profile extends Omit<LinuxSeccomp, "syscalls"> {
  archMap: readonly { architecture: string; subArchitectures: readonly string[] }[]
  syscalls: readonly ProfileSyscall[]
}

/** Where a container runs, and what it may. */
export interface Circumstances {
  /** Its bounding set: what its programs can come to. */
  capabilities: readonly string[]
  machine: "x64" | "arm64"
  kernel: readonly [number, number]
}

const GO_NAMES = { x64: "amd64", arm64: "arm64" } as const
const OWN_ARCH = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" } as const

/** A condition of a JSON text. Throws ToyboxError. */
export function readCondition(value: unknown, where: string): Condition {
  const { caps, arches, minKernel } = onlyFields(value, where, ["caps", "arches", "minKernel"])
  return {
    caps: list(text)(caps ?? [], `${where}.caps`),
    arches: list(text)(arches ?? [], `${where}.arches`),
    ...(minKernel === undefined || minKernel === "" ? {} : { minKernel: readKernel(minKernel, `${where}.minKernel`) }),
  }
}

function readKernel(value: unknown, where: string): readonly [number, number] {
  const match = /^(\d+)\.(\d+)$/.exec(text(value, where))
  if (!match) throw new ToyboxError(`${where}: ${JSON.stringify(value)} is no kernel version (use 4.8)`)
  return [Number(match[1]), Number(match[2])]
}

const isAtLeast = ([major, minor]: readonly [number, number], [wanted, least]: readonly [number, number]) =>
  major > wanted || (major === wanted && minor >= least)

function applies({ includes = {}, excludes = {} }: ProfileSyscall, place: Circumstances): boolean {
  const arch = GO_NAMES[place.machine]
  const has = (cap: string) => place.capabilities.includes(cap)
  if (excludes.arches?.includes(arch) || excludes.caps?.some(has)) return false
  if (excludes.minKernel && isAtLeast(place.kernel, excludes.minKernel)) return false
  if (includes.arches?.length && !includes.arches.includes(arch)) return false
  if (includes.caps && !includes.caps.every(has)) return false
  return !includes.minKernel || isAtLeast(place.kernel, includes.minKernel)
}

/** A profile for one container, as linux.seccomp has it. */
export function resolveProfile(profile: Profile, place: Circumstances): LinuxSeccomp {
  const { archMap, syscalls, ...settings } = profile
  const own = archMap.find(({ architecture }) => architecture === OWN_ARCH[place.machine])
  return {
    ...settings,
    ...(own ? { architectures: [own.architecture, ...own.subArchitectures] } : {}),
    syscalls: syscalls
      .filter((syscall) => applies(syscall, place))
      .map(({ names, action, errnoRet, args }) => ({
        names,
        action,
        ...(errnoRet === undefined ? {} : { errnoRet }),
        ...(args ? { args } : {}),
      })),
  }
}
