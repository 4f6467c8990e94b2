/** The config of an image that is made here, as bytes: config.md of the OCI image specification. */

import type { ContainerConfig, HistoryEntry } from "./config.ts"
import { digestOf } from "./digest.ts"
import type { Platform } from "./platform.ts"

/** What an image is made of. */
export interface NewDocument {
  platform: Platform
  /** ISO 8601. */
  created: string
  author?: string
  config: ContainerConfig
  /** Digests of the unpacked layers, the lowest first. */
  diffIds: readonly string[]
  history: readonly HistoryEntry[]
}

const set = (names: readonly string[]) =>
  names.length === 0 ? undefined : Object.fromEntries(names.toSorted().map((name) => [name, {}]))
const some = <T extends string | readonly string[]>(value: T) => (value.length === 0 ? undefined : value)

/** As docker writes it; what is empty is left out. */
const containerConfig = (config: ContainerConfig) => ({
  User: some(config.User),
  ExposedPorts: set(config.ExposedPorts),
  Env: some(config.Env),
  Entrypoint: some(config.Entrypoint),
  Cmd: some(config.Cmd),
  Healthcheck: config.Healthcheck,
  Volumes: set(config.Volumes),
  WorkingDir: some(config.WorkingDir),
  Labels: Object.keys(config.Labels).length === 0 ? undefined : config.Labels,
  OnBuild: config.OnBuild,
  StopSignal: config.StopSignal,
  Shell: config.Shell,
})

/** The bytes of a config, and its digest, the image's id. The same image always gives the same. */
export function writeConfig({ platform, created, author, config, diffIds, history }: NewDocument): {
  bytes: Uint8Array
  id: string
} {
  const document = {
    created,
    author,
    architecture: platform.architecture,
    variant: platform.variant,
    os: platform.os,
    config: containerConfig(config),
    rootfs: { type: "layers", diff_ids: diffIds },
    history: history.map(({ empty_layer, ...entry }) => ({ ...entry, ...(empty_layer ? { empty_layer } : {}) })),
  }
  const bytes = new TextEncoder().encode(JSON.stringify(document))
  return { bytes, id: digestOf(bytes) }
}
