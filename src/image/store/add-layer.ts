/** A layer from a tar stream into the store. */
import { isErrno } from "../../../ffi/errno.ts"
import { ToyboxError } from "../../errors.ts"
import type { Paths } from "../../paths.ts"
import { abandonLayer, beginLayer, finishLayer } from "../cache/layers.ts"
import { chainIdOn } from "../config.ts"
import { BadBytes } from "../digest.ts"
import { unpackApart } from "../layer/apart.ts"
import { type UnpackOptions, unpackLayer } from "../layer/unpack.ts"
import { storePaths } from "./records.ts"

export interface NewLayer {
  /** For errors: "NAME: the layer 0123456789ab". */
  name: string
  /** The chain id of the layer that it lies on; undefined for the lowest. */
  below: string | undefined
  /** The tar stream as the image specification has it; plain, gzip or zstd. */
  source: AsyncIterable<Uint8Array>
  /** What its digest must be, where that is known. */
  diffId?: string
  /** It is unpacked in a process of its own. */
  apart?: boolean
  /** That process's nice value, above this one's. */
  nice?: number
  /** Gives up. */
  signal?: AbortSignal
}

/** A layer that is held until this process ends. */
export interface AddedLayer {
  /** sha256:<hex> of the tar stream. */
  diffId: string
  chainId: string
  /** Of the tar stream. */
  bytes: number
  /** Its root, as overlayfs takes it. */
  root: string
}

/**
 * Unpacks a layer into the store, whole or not at all; one that is there already stays. Throws ToyboxError where the stream is
 * broken or refused, is not what `diffId` says, or the disk is full, and what the source throws.
 */
export async function addLayer(paths: Paths, layer: NewLayer): Promise<AddedLayer> {
  const { name, below, source, diffId, apart, nice = 0, signal } = layer
  const store = storePaths(paths)
  const held = beginLayer(store)
  try {
    const options: UnpackOptions = {
      name,
      target: `${held.path}/root`,
      whiteouts: "overlay",
      endless: diffId !== undefined,
      skeleton: held.path,
    }
    const found = await (apart
      ? unpackApart(source, options, { held: held.fd, nice, signal })
      : unpackLayer(source, options))
    if (diffId !== undefined && found.diffId !== diffId)
      throw new BadBytes(`${name} unpacks to ${found.diffId}, but the image says ${diffId}`, {
        hint: "the image is broken, or hostile",
      })
    signal?.throwIfAborted()
    const { bytes, entries } = found
    const chainId = chainIdOn(below, found.diffId)
    const facts = { bytes, entries, created: new Date().toISOString() }
    const root = finishLayer(store, held, chainId, facts, apart ? "now" : "to be")
    return { diffId: found.diffId, chainId, bytes, root }
  } catch (error) {
    abandonLayer(held)
    if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error
    throw new ToyboxError(`cannot unpack ${name}`, { cause: error, hint: "the disk is full" })
  }
}
