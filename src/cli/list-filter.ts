/** `--filter KEY=VALUE` of commands that list, as docker has it. */
import { UsageError } from "../errors.ts"

/** By key: what a value says of a thing. They throw UsageError for values that are none. */
export type Tests<Thing> = Readonly<Record<string, (value: string) => (thing: Thing) => boolean>>

/** KEY, or KEY=VALUE. */
export function labelTest(value: string): (thing: { labels: Readonly<Record<string, string>> }) => boolean {
  const [key = "", ...rest] = value.split("=")
  return ({ labels }) => Object.hasOwn(labels, key) && (rest.length === 0 || labels[key] === rest.join("="))
}

/** A regular expression, as docker's names are: any part of one is meant by it. Throws UsageError. */
export function nameTest(value: string): (name: string) => boolean {
  let wanted: RegExp
  try {
    wanted = new RegExp(value)
  } catch (error) {
    throw new UsageError(`--filter: name=${value} is no regular expression`, { cause: error })
  }
  return (name) => wanted.test(name)
}

/** "true" or "false". Throws UsageError. */
export function truth(key: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true
  if (/^(0|f|false)$/i.test(value)) return false
  throw new UsageError(`--filter: ${key}=${value} is neither true nor false`)
}

/** Whether a thing is meant: by one of the values of each key, and by all the labels. Throws UsageError. */
export function listFilter<Thing>(texts: readonly string[], tests: Tests<Thing>): (thing: Thing) => boolean {
  const read = texts.map((text) => {
    const [key = "", ...value] = text.split("=")
    const test = Object.hasOwn(tests, key) ? tests[key] : undefined
    if (test === undefined || value.length === 0)
      throw new UsageError(`--filter: "${text}" is not understood`, {
        hint: `KEY=VALUE, with one of the keys ${Object.keys(tests).join(", ")}`,
      })
    return { key, passes: test(value.join("=")) }
  })
  const byKey = Map.groupBy(read, ({ key }) => key)
  return (thing) =>
    [...byKey].every(([key, filters]) =>
      key.startsWith("label")
        ? filters.every(({ passes }) => passes(thing))
        : filters.some(({ passes }) => passes(thing)),
    )
}
