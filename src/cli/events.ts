/** Events as docker events shows and chooses them. */
import type { ContainerEvent } from "../container/events.ts"
import { UsageError } from "../errors.ts"

const TESTS: Readonly<Record<string, (event: ContainerEvent, value: string) => boolean>> = {
  container: ({ id, name }, value) => name === value || (value !== "" && id.startsWith(value)),
  // "health_status" are all of "health_status: healthy" and its kin.
  event: (event, value) => actionOf(event) === value || actionOf(event).startsWith(`${value}:`),
  image: ({ image }, value) => image === value || image === `${value}:latest`,
  label: ({ labels = {} }, value) => {
    const [name = "", ...rest] = value.split("=")
    return Object.hasOwn(labels, name) && (rest.length === 0 || labels[name] === rest.join("="))
  },
  type: (_, value) => value === "container",
}

/** Reads KEY=VALUE words; the test passes for one of the values of each key. Throws UsageError. */
export function eventFilter(words: readonly string[]): (event: ContainerEvent) => boolean {
  const filters = words.map((word) => {
    const [key = "", value = ""] = word.split(/=(.*)/s, 2)
    const test = Object.hasOwn(TESTS, key) && word.includes("=") ? TESTS[key] : undefined
    if (!test)
      throw new UsageError(`--filter: "${word}" is not understood`, {
        hint: `KEY=VALUE, with one of the keys ${Object.keys(TESTS).join(", ")}`,
      })
    return { key, passes: (event: ContainerEvent) => test(event, value) }
  })
  return (event) => filters.every(({ key }) => filters.some((other) => other.key === key && other.passes(event)))
}

function actionOf({ action, attributes }: ContainerEvent): string {
  return action === "exec_create" || action === "exec_start" ? `${action}: ${attributes?.command ?? ""}` : action
}

function attributesOf({ name, image, labels, attributes = {} }: ContainerEvent): Record<string, string> {
  const { command: _, ...others } = attributes
  return { ...labels, ...others, image, name }
}

/** `TIME container ACTION ID (KEY=VALUE, …)`. */
export function eventLine(event: ContainerEvent): string {
  const attributes = Object.entries(attributesOf(event)).sort(([a], [b]) => (a < b ? -1 : 1))
  const pairs = attributes.map(([key, value]) => `${key}=${value}`).join(", ")
  return `${event.time} container ${actionOf(event)} ${event.id} (${pairs})`.replace(/\p{Cc}/gu, " ")
}

const secondsOf = ({ time }: ContainerEvent) => Date.parse(`${time.slice(0, 19)}Z`) / 1000

/** As docker's events --format can name them; as JSON its fields have docker's other names for some. */
export function eventFields(event: ContainerEvent): object {
  const { id, image, time } = event
  const Action = actionOf(event)
  const Time = secondsOf(event)
  const both = { Type: "container", Action, Actor: { ID: id, Attributes: attributesOf(event) } }
  // More than a double holds.
  const nanoseconds = BigInt(`${Time}${time.slice(20, 29)}`)
  const json = { status: Action, id, from: image, ...both, scope: "local", time: Time, timeNano: nanoseconds }
  const fields = { Status: Action, ID: id, From: image, ...both, Scope: "local", Time, TimeNano: nanoseconds }
  return Object.defineProperty(fields, "toJSON", { value: () => json })
}
