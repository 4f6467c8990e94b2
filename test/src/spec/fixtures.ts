import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import type { Spec } from "../../../src/oci/runtime.ts"
import { applyIdentity, generate, type Identity, type Place } from "../../../src/spec/generate.ts"
import type { RunRequest } from "../../../src/spec/request.ts"

/** What `toybox run base` asks for. */
export const REQUEST: RunRequest = {
  args: ["/bin/sh"],
  env: [],
  user: "0",
  groupAdd: [],
  workdir: "/",
  terminal: false,
  rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }],
  capAdd: [],
  capDrop: [],
  noNewPrivileges: true,
  seccomp: "default",
  privileged: false,
  readonlyRoot: false,
  mounts: [],
  shmSize: 67108864,
  devices: [],
  sysctl: {},
  namespaces: {},
  resources: {},
  labels: {},
}

const DIRECTORY = "/state/containers/ID"

const file = (name: string) => ({
  destination: `/etc/${name}`,
  type: "bind",
  source: `${DIRECTORY}/${name}`,
  options: ["bind", "nosuid", "nodev", "noexec"],
})

export const PLACE: Place = {
  rootPath: `${DIRECTORY}/merged`,
  cgroupsPath: "/toybox.slice/ID",
  files: ["hosts", "hostname", "resolv.conf"].map(file),
}

export const ROOT_USER: Identity = {
  user: { uid: 0, gid: 0, additionalGids: [] },
  env: ["PATH=/usr/bin:/bin", "HOSTNAME=box", "HOME=/root"],
}

/** The spec of a request, complete. */
export function specOf(changes: Partial<RunRequest> = {}, identity: Identity = ROOT_USER): Spec {
  const request = { ...REQUEST, ...changes }
  const spec = generate(request, PLACE)
  applyIdentity(spec, request, identity, CAPABILITY_NAMES)
  return spec
}
