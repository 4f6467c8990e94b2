/** `features`: runtime-spec 1.2, features.md. */

import { CAPABILITY_NAMES } from "../../../ffi/constants/capability.ts"
import { version } from "../../../package.json"
import { ACTIONS, FILTER_FLAGS, OPERATORS } from "../../oci/seccomp.ts"
import { mountOptionNames } from "../../plan/mount-options.ts"
import { archNames } from "../../security/seccomp/arches.ts"
import { MACHINE } from "../../security/seccomp/filter.ts"
import { HEEDED_ANNOTATIONS } from "../facts.ts"

/** What this runtime can do, whatever the kernel below it can. */
export const features = () => ({
  ociVersionMin: "1.0.0",
  ociVersionMax: "1.2.0",
  hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
  mountOptions: [...new Set(mountOptionNames())].sort(),
  linux: {
    namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
    capabilities: [...CAPABILITY_NAMES],
    cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: true },
    seccomp: {
      enabled: true,
      actions: [...ACTIONS],
      operators: [...OPERATORS],
      archs: archNames(MACHINE),
      knownFlags: [...FILTER_FLAGS],
      supportedFlags: [...FILTER_FLAGS],
    },
    apparmor: { enabled: true },
    selinux: { enabled: true },
    intelRdt: { enabled: false },
    mountExtensions: { idmap: { enabled: mountOptionNames().includes("idmap") } },
  },
  annotations: { "run.toybox.version": version },
  potentiallyUnsafeConfigAnnotations: [...HEEDED_ANNOTATIONS],
})
