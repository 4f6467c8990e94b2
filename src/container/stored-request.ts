/** What a container can be started again with: its request, as config.json keeps it. */
import { tryReadText } from "../../ffi/fs.ts"
import { ToyboxError } from "../errors.ts"
import { parseJson } from "../oci/decode.ts"
import type { Paths } from "../paths.ts"
import type { ContainerRequest } from "./request.ts"

/** Without what is of the machine's and of the moment. */
export type StoredRequest = Pick<
  ContainerRequest,
  | "image"
  | "lower"
  | "imageId"
  | "below"
  | "name"
  | "names"
  | "networks"
  | "ports"
  | "exposed"
  | "volumes"
  | "autoRemove"
  | "removedImage"
  | "pidFile"
  | "attach"
  | "interactive"
  | "init"
  | "detachKeys"
  | "stopSignal"
  | "stopSeconds"
  | "cgroupParent"
  | "requested"
  | "process"
  | "entrypoint"
  | "commandLine"
>

export function storedRequest(request: ContainerRequest): StoredRequest {
  const { image, lower, imageId, below, name, names, networks, ports, exposed, volumes, autoRemove } = request
  const { interactive, init, detachKeys, stopSignal, stopSeconds, cgroupParent, requested } = request
  const { process, entrypoint, commandLine, removedImage, pidFile, attach } = request
  const what = {
    image,
    lower,
    ...(imageId ? { imageId } : {}),
    ...(removedImage === undefined ? {} : { removedImage }),
    ...(pidFile === undefined ? {} : { pidFile }),
    ...(attach === undefined ? {} : { attach }),
    below,
    name,
    names,
    networks,
    ports,
    exposed,
    volumes,
    autoRemove,
    interactive,
    init,
  }
  const stop = { stopSignal, ...(stopSeconds === undefined ? {} : { stopSeconds }) }
  return { ...what, ...stop, detachKeys, cgroupParent, requested, process, entrypoint, commandLine }
}

/** What config.json keeps of a container; null where that is damaged or gone. */
export function tryReadStored(paths: Paths, id: string): StoredRequest | null {
  try {
    return (parseJson(tryReadText(`${paths.containers}/${id}/config.json`) ?? "") as { request: StoredRequest }).request
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return null
  }
}

/** The same of one that people call `name`. Throws ToyboxError in place of null. */
export function readStored(paths: Paths, id: string, name: string): StoredRequest {
  const stored = tryReadStored(paths, id)
  if (stored === null)
    throw new ToyboxError(`what container ${name} was made with is damaged or gone`, { hint: `toybox rm ${name}` })
  return stored
}
