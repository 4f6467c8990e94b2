/** Containers and images as docker's ps and images show them: what --format can name. */

import type { Summary } from "../container/list.ts"
import { writtenBytes } from "../container/observe/size.ts"
import { readRecord, readRunning } from "../container/state.ts"
import { tryReadStored } from "../container/stored-request.ts"
import { formatBytes } from "../image/progress.ts"
import { familiarForm, parseReference, repositoryName } from "../image/reference.ts"
import { type ImageRecord, isNameless } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"
import { familiarName, isReference } from "./image.ts"
import { ago, commandText, dockerStatus, shown } from "./table.ts"
import { isGiven, volumeAt } from "./volume-fields.ts"

const two = (value: number) => String(value).padStart(2, "0")

/** A time as Go prints it: 2006-01-02 15:04:05 +0000 UTC. */
export function goTime(iso: string): string {
  const time = new Date(iso)
  const day = [time.getUTCFullYear(), two(time.getUTCMonth() + 1), two(time.getUTCDate())].join("-")
  const clock = [time.getUTCHours(), time.getUTCMinutes(), time.getUTCSeconds()].map(two).join(":")
  return `${day} ${clock} +0000 UTC`
}

export interface FieldOptions {
  full: boolean
  /** Whether sizes are wanted, which are costly. */
  sizes: boolean
}

/** The titles of docker ps. */
export const CONTAINER_TITLES = {
  ID: "CONTAINER ID",
  Names: "NAMES",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  LocalVolumes: "LOCAL VOLUMES",
}

export function containerFields(paths: Paths, summary: Summary, { full, sizes }: FieldOptions): object {
  const { id, name, image, command, created, labels, status } = summary
  const spec = readRecord(paths, id)?.spec
  const network = spec?.linux.namespaces.find(({ type }) => type === "network")
  // Of one that does not run, where it is to be.
  const places = readRunning(paths, id)?.networks ?? tryReadStored(paths, id)?.networks ?? []
  const networks = places.map((place) => place.network)
  const mounts = () =>
    (spec?.mounts ?? [])
      .filter((mount) => isGiven(paths, summary, mount))
      .map(({ source, destination }) => volumeAt(summary, destination) ?? source)
  const hidden = (Label: (key: string) => string) => Object.defineProperty({}, "Label", { value: Label })
  return Object.assign(
    // Not of what {{json .}} shows.
    hidden((key) => labels[key] ?? ""),
    {
      Command: commandText(command, full),
      CreatedAt: goTime(created),
      ID: full ? id : id.slice(0, 12),
      Image: shown(image),
      LocalVolumes: String(new Set(summary.volumes?.map(({ name }) => name)).size),
      Labels: Object.entries(labels)
        .map(([key, value]) => shown(`${key}=${value}`))
        .join(","),
      Mounts: mounts().join(","),
      Names: name,
      Platform: null,
      // Of those that have one from toybox.
      Networks:
        networks.length > 0
          ? networks.join(",")
          : network === undefined
            ? "host"
            : network.path === undefined
              ? "none"
              : "container",
      Ports: summary.ports ?? "",
      RunningFor: ago(created),
      Size: sizes ? formatBytes(writtenBytes(paths, id)) : "",
      State: status,
      Status: dockerStatus(summary),
    },
  )
}

/** The titles of docker images. */
export const IMAGE_TITLES = { ID: "IMAGE ID", CreatedAt: "CREATED AT", CreatedSince: "CREATED" }

/** What a registry knows an image by, of the repository that it is named after; null where none does. */
export function repoDigestOf(image: ImageRecord): { repository: string; digest: string } | null {
  const repository = isReference(image) ? repositoryName(parseReference(image.name)) : null
  const known = image.repoDigests?.find((one) => repository === null || one.startsWith(`${repository}@`))
  const [name = "", digest = ""] = known?.split("@") ?? []
  return known === undefined ? null : { repository: familiarForm(name), digest }
}

export function imageFields(image: ImageRecord, full: boolean): object {
  const name = isNameless(image) ? (repoDigestOf(image)?.repository ?? "") : familiarName(image)
  const tag = isReference(image) ? (/:([^:/@]+)$/.exec(name.replace(/@.*$/, ""))?.[1] ?? "<none>") : "<none>"
  const isDated = Date.parse(image.created ?? "") > 0
  return {
    CreatedAt: isDated ? goTime(image.created ?? "") : "",
    CreatedSince: isDated ? ago(image.created ?? "") : "",
    Digest: repoDigestOf(image)?.digest ?? "<none>",
    ID: full ? image.id : image.id.slice(7, 19),
    Platform: image.platform,
    Repository: shown(
      name === "" ? "<none>" : isReference(image) ? name.replace(/@.*$/, "").replace(/:[^:/]*$/, "") : name,
    ),
    Size: formatBytes(image.size),
    Tag: tag,
    // Docker looks for these in other listings only.
    ...{ Containers: "N/A", SharedSize: "N/A", UniqueSize: "N/A", VirtualSize: formatBytes(image.size) },
  }
}
