/** The options of `create` and `run` → a request. */
import { call } from "../../../ffi/call.ts"
import type { CreateRequest } from "../../container/oci/bring-up.ts"
import type { ParsedArgv } from "../argv.ts"
import { listenedDescriptors } from "../flags/descriptors.ts"
import type { OciContext } from "./context.ts"

/** The directory of a bundle, absolute: what is "." and ".." in it counts as it is read, not by links. */
export function bundlePath(text: string | undefined): string {
  const names: string[] = []
  for (const name of (text?.startsWith("/") ? text : `${process.cwd()}/${text ?? ""}`).split("/")) {
    if (name === "..") names.pop()
    else if (name !== "" && name !== ".") names.push(name)
  }
  return `/${names.join("/")}`
}

/** Throws UsageError. */
export function createRequest(
  { strings, booleans }: ParsedArgv,
  { root, noCgroup }: OciContext,
  id: string,
): CreateRequest {
  // The modes that toybox gives are meant as they stand, and the command gets its own mask.
  call("umask", 0o022)
  const { fds, env } = listenedDescriptors(strings.get("preserve-fds"))
  return {
    root,
    id,
    bundle: bundlePath(strings.get("bundle")),
    configFile: strings.get("config"),
    noCgroup,
    consoleSocket: strings.get("console-socket"),
    passedFds: fds,
    env,
    pidFile: strings.get("pid-file"),
    noPivot: booleans.get("no-pivot") ?? false,
    noNewKeyring: booleans.get("no-new-keyring") ?? false,
  }
}
