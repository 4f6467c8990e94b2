/** `ps --filter KEY=VALUE`, as docker ps has it. */
import type { Summary } from "../container/list.ts"
import { UsageError } from "../errors.ts"

export interface Filter {
  key: keyof typeof TESTS
  value: string
}

const STATUSES = ["created", "running", "paused", "restarting", "exited"]

const HEALTHS = ["starting", "healthy", "unhealthy", "none"]

const TESTS = {
  id: ({ id }: Summary, value: string) => id.startsWith(value),
  name: ({ name }: Summary, value: string) => name.includes(value),
  status: ({ status }: Summary, value: string) => status === value,
  exited: ({ exitCode }: Summary, value: string) => String(exitCode) === value,
  ancestor: ({ image }: Summary, value: string) => image === value,
  health: ({ health }: Summary, value: string) => (health ?? "none") === value,
  volume: ({ volumes = [] }: Summary, value: string) =>
    volumes.some(({ name, destination }) => name === value || destination === value),
  label: ({ labels }: Summary, value: string) => {
    const [name = "", ...rest] = value.split("=")
    return Object.hasOwn(labels, name) && (rest.length === 0 || labels[name] === rest.join("="))
  },
}

/** Reads KEY=VALUE. Throws UsageError. */
export function readFilter(text: string): Filter {
  const equals = text.indexOf("=")
  const [key, value] = [text.slice(0, equals), text.slice(equals + 1)]
  const isKey = (name: string): name is Filter["key"] => Object.hasOwn(TESTS, name)
  if (equals < 1 || !isKey(key))
    throw new UsageError(`--filter: "${text}" is not understood`, {
      hint: `KEY=VALUE, with one of the keys ${Object.keys(TESTS).join(", ")}`,
    })
  if (key === "status" && !STATUSES.includes(value))
    throw new UsageError(`--filter: "${value}" is no status`, { hint: STATUSES.join(", ") })
  if (key === "health" && !HEALTHS.includes(value))
    throw new UsageError(`--filter: "${value}" is no health`, { hint: HEALTHS.join(", ") })
  if (key === "exited" && !/^\d{1,3}$/.test(value)) throw new UsageError(`--filter: "${value}" is no exit code`)
  return { key, value }
}

/** Whether a container is meant: by one of the values of each key, and by all the labels. */
export function matches(summary: Summary, filters: readonly Filter[]): boolean {
  const passes = ({ key, value }: Filter) => TESTS[key](summary, value)
  return filters.every((filter) =>
    filter.key === "label" ? passes(filter) : filters.some((other) => other.key === filter.key && passes(other)),
  )
}
