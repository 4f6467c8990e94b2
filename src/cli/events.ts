/** Events as docker events shows and chooses them. */
import type { KeptEvent } from "../container/event-log.ts"
import { UsageError } from "../errors.ts"

type Test = (event: KeptEvent, value: string) => boolean

/** One of that type, by its name or the beginning of its id. */
const ofType =
  (type: string): Test =>
  (event, value) =>
    typeOf(event) === type &&
    (event.id === value || attributesOf(event).name === value || (value !== "" && event.id.startsWith(value)))

const withoutTag = (name: string) => name.replace(/:[^/:]*$/, "")

const TESTS: Readonly<Record<string, Test>> = {
  container: ofType("container"),
  network: ofType("network"),
  volume: ofType("volume"),
  // "health_status" are all of "health_status: healthy" and its kin.
  event: (event, value) => actionOf(event) === value || actionOf(event).startsWith(`${value}:`),
  image(event, value) {
    const type = typeOf(event)
    const { name = "", image = "" } = attributesOf(event)
    const names = type === "image" ? [event.id, name] : type === "container" ? [image] : []
    return names.some((one) => one === value || one === `${value}:latest` || withoutTag(one) === value)
  },
  label(event, value) {
    const { labels = {} } = event.type === undefined ? event : {}
    const [name = "", ...rest] = value.split("=")
    return Object.hasOwn(labels, name) && (rest.length === 0 || labels[name] === rest.join("="))
  },
  type: (event, value) => typeOf(event) === value,
  scope: (_, value) => value === "local",
}

/** Reads KEY=VALUE words; the test passes for one of the values of each key. Throws UsageError. */
export function eventFilter(words: readonly string[]): (event: KeptEvent) => boolean {
  const filters = words.map((word) => {
    const [key = "", value = ""] = word.split(/=(.*)/s, 2)
    const test = Object.hasOwn(TESTS, key) && word.includes("=") ? TESTS[key] : undefined
    if (!test)
      throw new UsageError(`--filter: "${word}" is not understood`, {
        hint: `KEY=VALUE, with one of the keys ${Object.keys(TESTS).join(", ")}`,
      })
    return { key, passes: (event: KeptEvent) => test(event, value) }
  })
  return (event) => filters.every(({ key }) => filters.some((other) => other.key === key && other.passes(event)))
}

const typeOf = ({ type }: KeptEvent): string => type ?? "container"

function actionOf({ action, attributes }: KeptEvent): string {
  return action === "exec_create" || action === "exec_start" ? `${action}: ${attributes?.command ?? ""}` : action
}

function attributesOf(event: KeptEvent): Record<string, string> {
  if (event.type !== undefined) return event.attributes
  const { name, image, labels, attributes = {} } = event
  const { command: _, ...others } = attributes
  return { ...labels, ...others, image, name }
}

/** `TIME TYPE ACTION ID (KEY=VALUE, …)`. */
export function eventLine(event: KeptEvent): string {
  const attributes = Object.entries(attributesOf(event)).sort(([a], [b]) => (a < b ? -1 : 1))
  const pairs = attributes.map(([key, value]) => `${key}=${value}`).join(", ")
  return `${event.time} ${typeOf(event)} ${actionOf(event)} ${event.id} (${pairs})`.replace(/\p{Cc}/gu, " ")
}

const secondsOf = ({ time }: KeptEvent) => Date.parse(`${time.slice(0, 19)}Z`) / 1000

/** docker's names of before there were events of anything but containers and images, which have them still. */
function oldFields(event: KeptEvent, action: string): { status?: string; id?: string; from?: string } {
  if (event.type === undefined) return { status: action, id: event.id, from: event.image }
  return event.type === "image" ? { status: action, id: event.id } : {}
}

/** As docker's events --format can name them; as JSON its fields have docker's other names for some. */
export function eventFields(event: KeptEvent): object {
  const { id, time } = event
  const Action = actionOf(event)
  const Time = secondsOf(event)
  const old = oldFields(event, Action)
  const both = { Type: typeOf(event), Action, Actor: { ID: id, Attributes: attributesOf(event) } }
  // More than a double holds.
  const nanoseconds = BigInt(`${Time}${time.slice(20, 29)}`)
  const json = { ...old, ...both, scope: "local", time: Time, timeNano: nanoseconds }
  const { status: Status = "", id: ID = "", from: From = "" } = old
  const fields = { Status, ID, From, ...both, Scope: "local", Time, TimeNano: nanoseconds }
  return Object.defineProperty(fields, "toJSON", { value: () => json })
}
