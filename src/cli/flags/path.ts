/** Paths as people type them. */

/** A normal absolute path: "/a//b/../c/" → "/a/c". */
export function normalPath(path: string): string {
  const names: string[] = []
  for (const name of path.split("/")) {
    if (name === "..") names.pop()
    else if (name !== "" && name !== ".") names.push(name)
  }
  return `/${names.join("/")}`
}
