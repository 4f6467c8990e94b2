/** Processor architectures toybox is built for, by the names Bun uses. */
export type Arch = "x64" | "arm64"

/** One platform the executable can be compiled for. */
export interface Target {
  /** The word after `--target`. */
  readonly name: string
  readonly arch: Arch
  /** Bun's own name of the platform. */
  readonly bunTarget: string
  /** The npm package that holds Bun's executable for the platform. */
  readonly bunPackage: string
  /** The file name below dist/. */
  readonly output: string
}

export const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    arch: "x64",
    bunTarget: "bun-linux-x64",
    bunPackage: "@oven/bun-linux-x64",
    output: "toybox",
  },
  {
    name: "linux-x64-musl",
    arch: "x64",
    bunTarget: "bun-linux-x64-musl",
    bunPackage: "@oven/bun-linux-x64-musl",
    output: "toybox-linux-x64-musl",
  },
  {
    name: "linux-arm64",
    arch: "arm64",
    bunTarget: "bun-linux-arm64",
    bunPackage: "@oven/bun-linux-aarch64",
    output: "toybox-linux-arm64",
  },
  {
    name: "linux-arm64-musl",
    arch: "arm64",
    bunTarget: "bun-linux-arm64-musl",
    bunPackage: "@oven/bun-linux-aarch64-musl",
    output: "toybox-linux-arm64-musl",
  },
]

/** Names of the architecture elsewhere. */
export const ARCH_NAMES = {
  x64: { debian: "amd64", elfMachine: 62, compiler: "gcc", objcopy: "objcopy", readelf: "readelf" },
  arm64: {
    debian: "arm64",
    elfMachine: 183,
    compiler: "aarch64-linux-gnu-gcc",
    objcopy: "aarch64-linux-gnu-objcopy",
    readelf: "aarch64-linux-gnu-readelf",
  },
} as const satisfies Record<Arch, object>

/** Finds a target by name; an unknown name is an error that lists the known ones. */
export function findTarget(name: string): Target {
  const target = TARGETS.find((candidate) => candidate.name === name)
  if (target) return target
  throw new Error(`unknown target "${name}": expected one of ${TARGETS.map((known) => known.name).join(", ")}`)
}
