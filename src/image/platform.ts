/** Platforms as image indexes name them, normalised and preferred as containerd does. */
import { UsageError } from "../errors.ts"

export interface Platform {
  readonly os: string
  /** GOARCH: amd64, arm64, arm, 386, … */
  readonly architecture: string
  readonly variant?: string
}

const HOST_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }

/** Other names of architectures → GOARCH and the variant that they imply. */
const ALIASES: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  i386: ["386"],
  i686: ["386"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
}

// The variant that an architecture has when none is named, which indexes write or leave out as they like.
const IMPLIED: Readonly<Record<string, string>> = { amd64: "v1", arm64: "v8", arm: "v7" }

const withV = (variant: string) => (/^\d/.test(variant) ? `v${variant}` : variant).replace(/\.0$/, "")

/** One form for all ways to write a platform. */
export function normalPlatform({ os, architecture, variant = "" }: Platform): Platform {
  const name = architecture.toLowerCase()
  const [arch, implied] = Object.hasOwn(ALIASES, name) ? (ALIASES[name] ?? [name]) : [name]
  const given = withV(variant.toLowerCase()) || implied || ""
  const usual = IMPLIED[arch]
  const shown = arch === "arm" ? given || usual : given === usual ? "" : given
  return { os: os.toLowerCase(), architecture: arch, ...(shown ? { variant: shown } : {}) }
}

/** The platform of this machine. */
export const hostPlatform = (arch: string = process.arch): Platform =>
  normalPlatform({ os: "linux", architecture: HOST_ARCHITECTURES[arch] ?? arch })

const PART = /^[A-Za-z0-9_.-]+$/

/** Reads `--platform`: OS/ARCH[/VARIANT], or ARCH alone. Throws UsageError. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/")
  const [first = "", second, variant] = parts
  if (parts.length > 3 || !parts.every((part) => PART.test(part)))
    throw new UsageError(`--platform: "${text}" is not a platform`, { hint: "OS/ARCH[/VARIANT], as in linux/arm64/v8" })
  const platform = normalPlatform(
    second === undefined
      ? { os: "linux", architecture: first }
      : { os: first, architecture: second, ...(variant === undefined ? {} : { variant }) },
  )
  if (platform.os !== "linux")
    throw new UsageError(`--platform: ${text}: only images of Linux run here`, { hint: "linux/amd64, linux/arm64, …" })
  return platform
}

export const formatPlatform = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined ? [] : [variant])].join("/")

const version = (variant: string | undefined) => {
  const digits = /^v(\d+)$/.exec(variant ?? "")?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/**
 * How well `offered` suits `wanted`: 0 is exactly it, more is less good, null not at all. A lower version of the same
 * architecture will do: arm/v6 on arm/v7.
 */
function distance(offered: Platform, wanted: Platform): number | null {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return null
  if (offered.variant === wanted.variant) return 0
  const implied = IMPLIED[wanted.architecture]
  const have = version(offered.variant ?? implied)
  const want = version(wanted.variant ?? implied)
  return have === undefined || want === undefined || have > want ? null : want - have
}

/** 32-bit images run on processors of 64 bits where there is no other. */
const FALLBACKS: Readonly<Record<string, readonly Platform[]>> = {
  amd64: [{ os: "linux", architecture: "386" }],
  arm64: [{ os: "linux", architecture: "arm", variant: "v8" }],
}

/**
 * The best of the offered for a platform; null where none suits. Unnamed platforms come last: what they are, the config
 * tells. `exact` leaves out what merely runs: somebody has asked for this platform.
 */
export function choosePlatform<T extends { platform?: Platform }>(
  offered: readonly T[],
  wanted: Platform,
  exact: boolean,
): T | null {
  const aims = [wanted, ...(exact ? [] : (FALLBACKS[wanted.architecture] ?? []))]
  for (const aim of aims) {
    let best: { item: T; distance: number } | null = null
    for (const item of offered) {
      const found = item.platform === undefined ? null : distance(normalPlatform(item.platform), aim)
      if (found !== null && (best === null || found < best.distance)) best = { item, distance: found }
    }
    if (best) return best.item
  }
  return offered.find((item) => item.platform === undefined) ?? null
}
