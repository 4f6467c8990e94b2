/** What a container can be started again with: its request, as config.json keeps it. */
import type { ContainerRequest } from "./request.ts"

/** Without what is of the machine's and of the moment. */
export type StoredRequest = Pick<
  ContainerRequest,
  | "image"
  | "lower"
  | "below"
  | "name"
  | "names"
  | "networks"
  | "autoRemove"
  | "interactive"
  | "init"
  | "detachKeys"
  | "stopSignal"
  | "cgroupParent"
  | "requested"
  | "process"
  | "commandLine"
>

export function storedRequest(request: ContainerRequest): StoredRequest {
  const { image, lower, below, name, names, networks, autoRemove, interactive } = request
  const { init, detachKeys, stopSignal, cgroupParent, requested, process, commandLine } = request
  const what = { image, lower, below, name, names, networks, autoRemove, interactive, init }
  return { ...what, detachKeys, stopSignal, cgroupParent, requested, process, commandLine }
}
