import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryDirectory } from "./scratch.ts"

const digest = (bytes: Uint8Array) => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

export interface TestDescriptor {
  mediaType: string
  digest: string
  size: number
  platform?: { os: string; architecture: string; variant?: string }
  annotations?: Record<string, string>
}

export interface TestImage {
  /** Tar files, the lowest layer first. */
  layers: readonly Uint8Array[]
  /** The `config` of the image's config. */
  config?: Record<string, unknown>
  architecture?: string
  os?: string
  compression?: "gzip" | "zstd" | "none"
}

/** A directory in the form of image-layout.md, to be filled. */
export class TestLayout {
  readonly dir = temporaryDirectory("layout")
  readonly blobs = new Map<string, Uint8Array>()

  constructor() {
    mkdirSync(join(this.dir, "blobs/sha256"), { recursive: true })
    writeFileSync(join(this.dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
  }

  blob(mediaType: string, bytes: Uint8Array): TestDescriptor {
    const name = digest(bytes)
    this.blobs.set(name, bytes)
    writeFileSync(join(this.dir, "blobs", name.replace(":", "/")), bytes)
    return { mediaType, digest: name, size: bytes.length }
  }

  image({
    layers,
    config = {},
    architecture = "amd64",
    os = "linux",
    compression = "gzip",
  }: TestImage): TestDescriptor {
    const packed = layers.map((layer) => {
      if (compression === "none") return { suffix: "", bytes: layer }
      const bytes = compression === "gzip" ? Bun.gzipSync(Uint8Array.from(layer)) : Bun.zstdCompressSync(layer)
      return { suffix: `+${compression}`, bytes: new Uint8Array(bytes) }
    })
    const descriptors = packed.map(({ suffix, bytes }) =>
      this.blob(`application/vnd.oci.image.layer.v1.tar${suffix}`, bytes),
    )
    const rootfs = { type: "layers", diff_ids: layers.map(digest) }
    const described = { os, architecture, config, rootfs, history: layers.map(() => ({ created_by: "test" })) }
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: this.blob("application/vnd.oci.image.config.v1+json", encode(described)),
      layers: descriptors,
    }
    return { ...this.blob(manifest.mediaType, encode(manifest)), platform: { os, architecture } }
  }

  index(manifests: readonly TestDescriptor[]): TestDescriptor {
    const mediaType = "application/vnd.oci.image.index.v1+json"
    return this.blob(mediaType, encode({ schemaVersion: 2, mediaType, manifests }))
  }

  /** Writes index.json: tag → what it names. */
  tags(tags: Record<string, TestDescriptor>): void {
    const manifests = Object.entries(tags).map(([tag, { platform: _, ...descriptor }]) => ({
      ...descriptor,
      annotations: { "org.opencontainers.image.ref.name": tag },
    }))
    writeFileSync(join(this.dir, "index.json"), encode({ schemaVersion: 2, manifests }))
  }
}

/** A tar of a directory, by GNU tar; owners are root. */
export function tarOf(dir: string, ...options: string[]): Uint8Array {
  const cmd = [
    "tar",
    "-C",
    dir,
    "--numeric-owner",
    "--owner=0",
    "--group=0",
    "--sort=name",
    ...options,
    "-cf",
    "-",
    ".",
  ]
  const { stdout, stderr, exitCode } = Bun.spawnSync(cmd)
  if (exitCode !== 0) throw new Error(`tar: ${stderr}`)
  return new Uint8Array(stdout)
}
