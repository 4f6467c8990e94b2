/** The config.json that `spec` writes: a shell with the limits of a container. */
import { DEFAULT_DEVICE_RULES } from "../oci/devices.ts"
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_NOFILE,
  DEFAULT_PATH,
  defaultMounts,
  MASKED_PATHS,
  READONLY_PATHS,
} from "./defaults.ts"

/** A configuration to begin with; its root file system is the bundle's directory "rootfs". */
export function bundleSpec() {
  const capabilities = [...DEFAULT_CAPABILITIES]
  return {
    ociVersion: "1.2.0",
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: [`PATH=${DEFAULT_PATH}`, "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: DEFAULT_NOFILE, soft: DEFAULT_NOFILE }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "toybox",
    mounts: defaultMounts(64 * 1024 * 1024, true, false),
    linux: {
      resources: { devices: [DEFAULT_DEVICE_RULES[0]] },
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  }
}
