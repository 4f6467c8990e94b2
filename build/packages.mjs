import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fail, runQuietly } from "./bootstrap.mjs"

/** Debian packages the tests use. The build itself needs none: it takes busybox-static from the archive if need be. */
export const TEST_PACKAGES = [
  "apache2-utils",
  "binutils-aarch64-linux-gnu",
  "bubblewrap",
  "busybox-static",
  "conmon",
  "containerd",
  "crun",
  "docker-registry",
  "docker.io",
  "fish",
  "gcc",
  "gcc-aarch64-linux-gnu",
  "iproute2",
  "iptables",
  "libarchive-tools",
  "libc6-dev",
  "libc6-dev-arm64-cross",
  "libseccomp-dev",
  "linux-libc-dev",
  "linux-libc-dev-arm64-cross",
  "linux-libc-dev-armhf-cross",
  "mmdebstrap",
  "musl",
  "openssl",
  "podman",
  "python3",
  "qemu-system-arm",
  "qemu-system-x86",
  "qemu-user",
  "runc",
  "skopeo",
  "nftables",
  "strace",
  "systemd",
  "tar",
  "tmux",
  "umoci",
  "zsh",
  "zstd",
]

/** Installs those of the packages that are missing. */
export function ensurePackages(packages) {
  if (!existsSync("/usr/bin/dpkg-query")) fail(`the tests need these Debian packages: ${packages.join(" ")}`)
  const missing = packages.filter((name) => !isInstalled(name, queryStatus(packages)))
  if (missing.length === 0) return
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...missing]
  if (process.getuid() !== 0) fail(`packages are missing; as root, run: apt-get update && ${install.join(" ")}`)
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  runQuietly(["apt-get", "update", "-q"], { env })
  runQuietly(install, { env })
}

function queryStatus(packages) {
  const format = "$" + "{Package} $" + "{db:Status-Status}\n"
  return spawnSync("dpkg-query", ["-W", "-f", format, ...packages], { encoding: "utf8" }).stdout.split("\n")
}

function isInstalled(name, statuses) {
  return statuses.includes(`${name} installed`)
}
