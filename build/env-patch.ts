import { readElf, sectionBytes } from "./elf.ts"
import { ARCH_NAMES } from "./targets.ts"

/**
 * Environment variables that Bun's runtime obeys in every compiled program and that toybox must not: each lets whoever
 * sets the environment run code, open a debugger, write files, send data out, weaken TLS, or break the process.
 * Most were seen to do so in a program compiled with Bun 1.4.5; the two trace files, the transpiler's cache, the IPC
 * channel and the debugger's preload and notification were not, and go for what they are made for. BUN_JSC_* goes below.
 */
export const REMOVED_VARIABLES: Readonly<Record<string, string>> = {
  BUN_BE_BUN: "turns the program into the bun command line",
  BUN_OPTIONS: "adds runtime flags, among them --preload FILE, which runs code",
  BUN_INSPECT: "opens a debugger and waits for it",
  BUN_INSPECT_CONNECT_TO: "connects to a debugger",
  BUN_INSPECT_NOTIFY: "writes to a socket when the debugger is ready",
  BUN_INSPECT_PRELOAD: "runs code before the program while a debugger is on",
  BUN_BYTECODE_ORDER_OUT: "writes a file at exit",
  BUN_BYTECODE_ORDER_NAMES_OUT: "writes a file at exit",
  BUN_BYTECODE_DIGEST_OUT: "writes a file at start",
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "names a directory to write to and to read code from",
  BUN_TCC_OPTIONS: "adds options, such as code to include, to bun:ffi's C compiler",
  BUN_TRACE: "writes a trace file",
  BUN_WATCHER_TRACE: "writes a trace file",
  BUN_ENABLE_CRASH_REPORTING: "sends crash reports by running curl",
  BUN_CRASH_REPORT_URL: "names the address that crash reports are sent to",
  BUN_CONFIG_VERBOSE_FETCH: "prints every request with its headers",
  BUN_FEATURE_FLAG_NO_ORPHANS: "sets PDEATHSIG on the program and kills its descendants when it exits",
  BUN_DESTRUCT_VM_ON_EXIT: "changes how the program exits",
  NODE_CHANNEL_FD: "takes over a descriptor as an IPC channel",
  NODE_CHANNEL_SERIALIZATION_MODE: "belongs to NODE_CHANNEL_FD",
  NODE_TLS_REJECT_UNAUTHORIZED: "turns off certificate checks",
  JSC_SIGNAL_FOR_GC: "takes over a signal, or aborts the program",
  SIMDUTF_FORCE_IMPLEMENTATION: "makes the program refuse to start (x64 only)",
}

/** Variables that are left as they are, and why. */
export const KEPT_VARIABLES: Readonly<Record<string, string>> = {
  "NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR NODE_USE_SYSTEM_CA": "TLS trust is the user's to extend",
  "HTTP_PROXY HTTPS_PROXY NO_PROXY": "proxies are the user's to choose",
  "NO_COLOR FORCE_COLOR TZ LANG LC_ALL LC_MESSAGES TMPDIR": "ordinary conventions",
  "ICU_DATA ICU_TIMEZONE_FILES_DIR": "locale data only; no code is loaded",
  "RES_OPTIONS LOCALDOMAIN": "resolver options, as in libc",
  "NODE_OPTIONS NODE_PATH NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_REPL_EXTERNAL_MODULE": "without effect (tested)",
  "BUN_DEBUG*": "only in debug builds of Bun",
  "BUN_FEATURE_FLAG_DISABLE_* BUN_FEATURE_FLAG_EXPERIMENTAL_* BUN_CONFIG_* BUN_GC_* BUN_IDLE_GC_SECONDS":
    "choose between equivalent implementations, limits and timers",
  "BUN_THREADPOOL_STATS NODE_NO_WARNINGS NODE_DEBUG": "diagnostics on standard error",
  "UV_THREADPOOL_SIZE GOMAXPROCS WTF_numberOfProcessorCores": "numbers of threads",
  "Malloc* mimalloc_* WebKit* JavaScriptCoreUseJIT": "choice and tuning of allocators and JIT; diagnostics only",
}

/**
 * Takes the variables away from a Bun executable, in place: each name in read-only data loses its first byte to a NUL.
 * A C string becomes empty, which getenv never finds, and a counted string holds a NUL, which no environment entry can;
 * strings that share the tail are untouched. Every name must occur: one that does not means that Bun has changed and
 * that the table above has to be checked again.
 */
export function removeVariables(bytes: Uint8Array): void {
  const elf = readElf(bytes)
  const rodata = buffer(sectionBytes(bytes, elf, ".rodata"))
  const text = buffer(sectionBytes(bytes, elf, ".text"))
  // Longest first: patching BUN_INSPECT would hide BUN_INSPECT_NOTIFY from its own search.
  const names = Object.keys(REMOVED_VARIABLES).sort((a, b) => b.length - a.length)
  for (const name of names) {
    const places = occurrences(rodata, name)
    const expected = elf.machine === ARCH_NAMES.x64.elfMachine || name !== "SIMDUTF_FORCE_IMPLEMENTATION"
    if (places.length === 0 && expected) throw new Error(`${name} is not in Bun's read-only data: has Bun changed?`)
    for (const place of places) rodata[place] = 0
  }
  if (elf.machine === ARCH_NAMES.x64.elfMachine) removeEngineOptionsX64(text)
  else removeEngineOptionsArm64(text)
}

/** Where a name stands in a section, also as a part of longer names. */
export function occurrences(section: Buffer, name: string): number[] {
  const places: number[] = []
  for (let at = section.indexOf(name); at !== -1; at = section.indexOf(name, at + 1)) places.push(at)
  return places
}

/** The same memory, with Buffer's search methods. */
function buffer(view: Uint8Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

// BUN_JSC_<option> sets any option of the JavaScript engine (some write files). The prefix is no string in the
// executable: it is compared byte by byte, in instructions, while the environment is walked.
const PREFIX = Buffer.from("BUN_JSC_")

const CMP_FIRST = String.raw`\x41?\x80[\x38-\x3f]\x42`
const JNE_SHORT = String.raw`\x75[\x00-\xff]`

function removeEngineOptionsX64(text: Buffer): void {
  const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, "0")}`
  const others = [...PREFIX].slice(1).map((byte, index) => {
    return `${JNE_SHORT}\\x41?\\x80[\\x78-\\x7f]${hex(index + 1)}${hex(byte)}`
  })
  const pattern = new RegExp(CMP_FIRST + others.join(""), "g")
  const matches = [...text.toString("latin1").matchAll(pattern)]
  const [match] = matches
  if (!match || matches.length !== 1) throw new Error(`${matches.length} comparisons with BUN_JSC_: has Bun changed?`)
  // The first "jump if not equal" becomes "jump always".
  text[match.index + match[0].indexOf("\x75")] = 0xeb
}

function removeEngineOptionsArm64(text: Buffer): void {
  const words = new DataView(text.buffer, text.byteOffset, text.byteLength)
  const places: number[] = []
  for (let at = 0; at + PREFIX.length * 12 <= text.length; at += 4) {
    if (PREFIX.every((byte, index) => isCompareAndBranch(words, at + index * 12, byte))) places.push(at)
  }
  const [place] = places
  if (place === undefined || places.length !== 1) {
    throw new Error(`${places.length} comparisons with BUN_JSC_: has Bun changed?`)
  }
  // B.NE (condition 1) becomes B.AL (condition 14).
  words.setUint32(place + 4, words.getUint32(place + 4, true) | 0xe, true)
}

/** `cmp wN, #byte; b.ne …`, as compilers lay it out on arm64. */
function isCompareAndBranch(words: DataView, at: number, byte: number): boolean {
  const compare = words.getUint32(at, true)
  if (((compare & 0xffc0001f) | 0) !== 0x7100001f || ((compare >>> 10) & 0xfff) !== byte) return false
  return ((words.getUint32(at + 4, true) & 0xff00001f) | 0) === 0x54000001
}
