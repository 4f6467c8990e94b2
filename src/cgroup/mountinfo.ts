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
  // Optional fields ("shared:1") come before the lone hyphen; blanks in names are escaped, so it cannot be mistaken.
  const hyphen = line.indexOf(" - ")
  if (hyphen < 0) return null
  const front = line.slice(0, hyphen).split(" ")
  const back = line.slice(hyphen + 3).split(" ")
  const root = front[3]
  const mountpoint = front[4]
  const type = back[0]
  if (root === undefined || mountpoint === undefined || !type) return null
  const superOptions = (back[2] ?? "").split(",")
  return { root: unescapeOctal(root), mountpoint: unescapeOctal(mountpoint), type, superOptions }
}
