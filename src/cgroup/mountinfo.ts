/** One line of `/proc/[pid]/mountinfo`, proc_pid_mountinfo(5): what cgroup detection needs of it. */
export interface MountLine {
  /** The directory of the file system that is the root of this mount. */
  readonly root: string
  readonly mountpoint: string
  readonly type: string
  /** Options of the file system: for cgroup v1 the names of its controllers. */
  readonly superOptions: readonly string[]
}

/** Undoes the kernel's octal escapes of blank, tab, newline and backslash: `\040` is a blank. */
export function unescapeOctal(text: string): string {
  if (!text.includes("\\")) return text
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** Parses one line; null for a line that is none. */
export function parseMountLine(line: string): MountLine | null {
  const fields = line.split(" ")
  // Optional fields ("shared:1") come between the sixth field and the lone hyphen.
  const hyphen = fields.indexOf("-", 6)
  const [, , , root, mountpoint] = fields
  const type = fields[hyphen + 1]
  if (hyphen < 0 || root === undefined || mountpoint === undefined || type === undefined) return null
  return {
    root: unescapeOctal(root),
    mountpoint: unescapeOctal(mountpoint),
    type,
    superOptions: (fields[hyphen + 3] ?? "").split(","),
  }
}
