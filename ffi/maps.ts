/** What this process has mapped: proc_pid_maps(5). */
import { callResult } from "./call.ts"
import { readText } from "./fs.ts"

/** Gives an advice on mappings of at least so many bytes, by their lines; one that is refused changes nothing: madvise(2). */
export function advise(advice: number, isMeant: (line: string) => boolean, least = 0): void {
  for (const line of readText("/proc/self/maps").split("\n")) {
    if (!isMeant(line)) continue
    const dash = line.indexOf("-")
    const start = Number.parseInt(line.slice(0, dash), 16)
    const length = Number.parseInt(line.slice(dash + 1, line.indexOf(" ")), 16) - start
    if (length >= least) callResult("madvise", start, length, advice)
  }
}
