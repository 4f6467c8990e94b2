import { ToyboxError } from "../../errors.ts"
import type { FileWrite } from "../plan.ts"
import { ioToBfqWeight } from "../weights.ts"

// `cgroup.` files that are limits; the others move, freeze or kill processes, which is not for a bundle to do.
const CORE_LIMITS = new Set(["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"])

/**
 * `linux.resources.unified`: raw v2 files. The key must be a plain name of a controller's file, so that it cannot
 * point elsewhere. The kernel takes one line per write, so each line is one.
 */
export function unifiedWrites(unified: Readonly<Record<string, string>>): FileWrite[] {
  return Object.entries(unified).flatMap(([file, text]) => {
    const named = /^[a-z_]+\.[A-Za-z0-9_.]+$/.test(file)
    if (!named || (file.startsWith("cgroup.") && !CORE_LIMITS.has(file))) {
      throw new ToyboxError(`linux.resources.unified: ${JSON.stringify(file)} is not the name of a controller's file`)
    }
    const field = `unified.${file}`
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((value) => ({ file, value, field, ...(file === "io.weight" && bfqToo(value)) }))
  })
}

// The kernel has io.weight, io.bfq.weight, both or neither, and each disk's scheduler decides which one acts.
function bfqToo(value: string): Pick<FileWrite, "others" | "use"> {
  const line = value.replace(/\d+$/, (weight) => `${ioToBfqWeight(Number(weight))}`)
  return { others: [{ file: "io.bfq.weight", value: line }], use: "all" }
}
