import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { writeCpio } from "./cpio.ts"
import { type CgroupLayout, FUNCTIONS, initScript, mainScript, type RootKind } from "./init.ts"
import { type Arch, kernel, moduleClosure } from "./kernel.ts"
import {
  bootEntries,
  type GuestFile,
  librariesOf,
  modulePath,
  payloadEntries,
  unpackPackages,
  writeDisk,
} from "./payload.ts"

/** What to boot and what to run there. */
export interface MachineOptions {
  /** Shell text run by busybox's sh, in the final root; `section NAME` divides its output. */
  script: string
  /** Path in the machine → content. */
  files?: Record<string, GuestFile>
  /** Kernel modules to load besides overlay and what the machine's own devices need. */
  modules?: readonly string[]
  /** MiB. */
  memory?: number
  timeoutSeconds: number
  /** More words for the kernel's command line. */
  cmdline?: string
  cgroup?: CgroupLayout
  root?: RootKind
  /** Where a root on a disk stays, for machines that are booted from it one after the other; the first one makes it. */
  disk?: string
  /** Debian packages to have in a root on a disk, with all they depend on, unpacked but not configured. */
  packages?: readonly string[]
  arch?: Arch
  /** The program put at `/bin/toybox`; dist/toybox when not given. */
  binary?: string
  /** What it is linked to; what ldd(1) tells when not given. */
  libraries?: Record<string, GuestFile>
}

/** What came out of a machine that ran its script and powered off. */
export interface MachineResult {
  /** Standard output and standard error of the script, byte by byte, without the kernel's messages. */
  output: string
  /** The script's own exit code. */
  exitCode: number
  /** The output after each `section NAME`, without leading and trailing blank lines. */
  sections: Record<string, string>
  /** What the kernel printed on the serial console. */
  console: string
  /** Milliseconds from the start of QEMU to its end. */
  elapsed: number
}

/** What bridges, NAT and published ports need from the kernel. */
export const NETWORK_MODULES = ["veth", "bridge", "nf_tables", "nft_chain_nat", "nft_masq", "nft_redir", "nft_ct"]

const DEVICE_MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"]
const DISK_MEGABYTES = 1024
const MACHINES: Record<Arch, { qemu: string; flags: string[]; console: string }> = {
  x64: { qemu: "qemu-system-x86_64", flags: ["-M", "q35", "-cpu", "max"], console: "ttyS0" },
  // Pointer authentication as the architecture defines it is slow to emulate.
  arm64: { qemu: "qemu-system-aarch64", flags: ["-M", "virt", "-cpu", "max,pauth-impdef=on"], console: "ttyAMA0" },
}

/** Why no machine of `arch` can be booted here, or undefined when one can. */
export function vmUnavailable(arch: Arch = "x64"): string | undefined {
  const needed = [MACHINES[arch].qemu, "dpkg-deb", "apt-get", "timeout"]
  const missing = needed.filter((name) => Bun.which(name) === null)
  return missing.length > 0 ? `not installed: ${missing.join(", ")}` : undefined
}

const diskOf = ({ disk }: MachineOptions, dir: string) => disk ?? join(dir, "disk.img")

function qemuCommand(options: MachineOptions, arch: Arch, image: string, dir: string, nonce: string): string[] {
  const { qemu, flags, console } = MACHINES[arch]
  const disk =
    options.root === "disk"
      ? ["-drive", `file=${diskOf(options, dir)},format=raw,if=none,id=disk,cache=unsafe`].concat([
          "-device",
          "virtio-blk-pci,drive=disk",
        ])
      : []
  return [
    ...["timeout", "-k", "2", String(options.timeoutSeconds), qemu, ...flags],
    ...["-accel", "tcg,thread=multi", "-smp", "2", "-m", String(options.memory ?? 2048)],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-monitor", "none"],
    ...["-kernel", image, "-initrd", join(dir, "initrd")],
    ...["-append", `console=${console} quiet panic=-1 vm=${nonce} ${options.cmdline ?? ""}`.trim()],
    ...["-serial", `file:${join(dir, "console")}`],
    ...["-device", "virtio-serial-pci", "-chardev", `file,id=out,path=${join(dir, "output")}`],
    ...["-device", "virtserialport,chardev=out,name=output"],
    ...disk,
  ]
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : ""
}

function tail(text: string, lines = 40): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n")
}

/** Takes the framed marks out of `raw`; undefined when the machine never came to the exit mark. */
function parseOutput(raw: string, nonce: string): Pick<MachineResult, "output" | "exitCode" | "sections"> | undefined {
  const parts = raw.split(new RegExp(`\\n?@@${nonce} (section [^\\n]*|exit \\d+)\\n`))
  const exit = parts.at(-2)
  if (exit === undefined || !exit.startsWith("exit ")) return undefined
  const sections: Record<string, string> = {}
  for (let i = 1; i < parts.length - 2; i += 2) {
    const name = (parts[i] ?? "").slice("section ".length)
    sections[name] = (parts[i + 1] ?? "").replace(/^\n+|\s+$/g, "")
  }
  const output = parts.filter((_, i) => i % 2 === 0 && i < parts.length - 1).join("")
  return { output, exitCode: Number(exit.slice("exit ".length)), sections }
}

/**
 * Boots a real kernel under QEMU with nothing but the binary, its libraries and busybox, runs the script and powers
 * off. Throws, with the end of what was printed, when the machine does not come to its end within `timeoutSeconds`.
 */
export async function bootAndRun(options: MachineOptions): Promise<MachineResult> {
  const arch = options.arch ?? "x64"
  const root = options.root ?? "tmpfs"
  const found = kernel(arch)
  const binary = options.binary ?? toyboxBinary()
  // What marks its output is on the disk, too.
  const nonce = options.disk === undefined ? Bun.randomUUIDv7().replaceAll("-", "").slice(-12) : "lasting"
  const disk = root === "disk" ? ["virtio_blk"] : []
  const modules = moduleClosure(found, [
    ...DEVICE_MODULES,
    "virtio_console",
    ...disk,
    "overlay",
    ...(options.modules ?? []),
  ])
  const init = { nonce, root, cgroup: options.cgroup ?? "unified", modules: modules.map(modulePath) }
  const payload = payloadEntries(binary, options.libraries ?? librariesOf(binary, found), {
    ...options.files,
    "/vm/main": mainScript(init),
    "/vm/functions": FUNCTIONS,
    "/vm/script": options.script,
  })
  const boot = bootEntries(found, initScript(init), modules)
  const dir = mkdtempSync(join(tmpdir(), "toybox-vm-"))
  try {
    const busybox = boot.filter((entry) => entry.path === "/bin/busybox")
    const image = diskOf(options, dir)
    if (root === "disk" && !existsSync(image)) {
      if (options.packages !== undefined) unpackPackages(`${image}.d`, options.packages)
      writeDisk(image, [...busybox, ...payload], DISK_MEGABYTES)
    }
    writeCpio(join(dir, "initrd"), root === "disk" ? boot : [...boot, ...payload])
    const start = performance.now()
    const child = Bun.spawn(qemuCommand(options, arch, found.image, dir, nonce), {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    })
    const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
    const elapsed = performance.now() - start
    const console = readText(join(dir, "console"))
    const raw = readText(join(dir, "output"))
    const parsed = parseOutput(raw, nonce)
    if (parsed !== undefined) return { ...parsed, console, elapsed }
    const how = code === 124 || code === 137 ? `timed out after ${options.timeoutSeconds} s` : `ended with ${code}`
    throw new Error(`the machine ${how}\n--- output\n${tail(raw)}\n--- console\n${tail(console)}\n--- qemu\n${stderr}`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
