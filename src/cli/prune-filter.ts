/** `prune --filter`, as docker system prune has it. */
import { UsageError } from "../errors.ts"
import { truth } from "./list-filter.ts"
import { logTime } from "./time.ts"

/** What something is chosen by. */
export interface Prunable {
  /** ISO 8601. */
  created: string
  labels: Readonly<Record<string, string>>
}

/** The filters without those of a key that says yes or no, and what the last of these says. Throws UsageError. */
export function takeTruth(
  key: string,
  texts: readonly string[],
): { rest: readonly string[]; says: boolean | undefined } {
  const isMeant = (text: string) => text.startsWith(`${key}=`)
  const said = texts.filter(isMeant).map((text) => truth(key, text.slice(key.length + 1)))
  return { rest: texts.filter((text) => !isMeant(text)), says: said.at(-1) }
}

/** A test of all the filters together: older than every until, with every label, without every label!. Throws UsageError. */
export function pruneFilter(texts: readonly string[], now: number): (what: Prunable) => boolean {
  const tests = texts.map((text): ((what: Prunable) => boolean) => {
    const [, key, , value = ""] = /^(until|label(!?))=(.+)$/.exec(text) ?? []
    if (key === undefined)
      throw new UsageError(`--filter: "${text}" is not understood`, {
        hint: "until=TIME|24h, label=KEY[=VALUE] or label!=KEY[=VALUE]",
      })
    if (key === "until") {
      const time = Date.parse(logTime("--filter until", value, now) ?? "")
      return ({ created }) => Date.parse(created) < time
    }
    const [name = "", ...rest] = value.split("=")
    const has = ({ labels }: Prunable) =>
      Object.hasOwn(labels, name) && (rest.length === 0 || labels[name] === rest.join("="))
    return key === "label" ? has : (what) => !has(what)
  })
  return (what) => tests.every((test) => test(what))
}
