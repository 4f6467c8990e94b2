/** --health-cmd and its kin, over what an image asks for: docker's HEALTHCHECK. */
import type { HealthCheck, OnFailure } from "../../container/health.ts"
import { UsageError } from "../../errors.ts"
import type { Healthcheck } from "../../image/config.ts"
import type { ParsedArgv } from "../argv.ts"
import { parseHealthTime } from "../duration.ts"

const DEFAULTS = { interval: 30_000, timeout: 30_000, startPeriod: 0, retries: 3 }
const START_INTERVAL = 5000

const TIMES = [
  ["health-interval", "interval", "Interval"],
  ["health-timeout", "timeout", "Timeout"],
  ["health-start-period", "startPeriod", "StartPeriod"],
  ["health-start-interval", "startInterval", "StartInterval"],
] as const

const NAMES = [
  "health-cmd",
  "health-retries",
  "health-on-failure",
  "no-healthcheck",
  ...TIMES.map(([option]) => option),
]

/** What an image may ask for at the least, in milliseconds: each look costs this machine processes. */
const LEAST_OF_IMAGE = 100

/** Nanoseconds of an image in milliseconds; 0 where it says nothing. */
const timeOfImage = (key: (typeof TIMES)[number][1], nanoseconds = 0): number =>
  nanoseconds === 0 || key === "startPeriod" ? nanoseconds / 1e6 : Math.max(LEAST_OF_IMAGE, nanoseconds / 1e6)

/** What a Test of docker's runs; null for none. */
function commandOf([kind, ...words]: readonly string[]): string[] | null {
  if (kind === "CMD" && words.length > 0) return words
  return kind === "CMD-SHELL" && words[0] ? ["/bin/sh", "-c", words[0]] : null
}

function duration(option: string, text: string): number {
  const milliseconds = parseHealthTime(text)
  if (milliseconds === null)
    throw new UsageError(`--${option}: "${text}" is no duration of at least 1ms (use 30s, 500ms or 1m30s)`)
  return milliseconds
}

function retriesOf(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--health-retries: "${text}" is no number`)
  return Number(text)
}

function onFailureOf(text: string | undefined): { onFailure?: OnFailure } {
  if (text === undefined || text === "none") return {}
  if (text === "kill" || text === "restart" || text === "stop") return { onFailure: text }
  throw new UsageError(`--health-on-failure: "${text}" is not known (use none, kill, restart or stop)`)
}

/** What is to be asked of a container; null for nothing. 0 means the default, as docker has it. Throws UsageError. */
export function healthCheck(argv: ParsedArgv, image: Healthcheck): HealthCheck | null {
  const { strings, booleans } = argv
  if (booleans.get("no-healthcheck")) {
    const other = NAMES.find((name) => name !== "no-healthcheck" && argv.typed.has(name))
    if (other !== undefined) throw new UsageError(`--no-healthcheck does not go with --${other}`)
    return null
  }
  const own = strings.get("health-cmd")
  const command = own === undefined ? commandOf(image.Test ?? []) : commandOf(own === "none" ? [] : ["CMD-SHELL", own])
  const check: HealthCheck = { command: command ?? [], ...DEFAULTS, startInterval: 0 }
  for (const [option, key, theirs] of TIMES) {
    const text = strings.get(option)
    const milliseconds = text === undefined ? timeOfImage(key, image[theirs]) : duration(option, text)
    if (milliseconds > 0) check[key] = milliseconds
  }
  // Who knows of no other interval means that one from the start on, as it was before docker 25.
  check.startInterval ||= Math.min(START_INTERVAL, check.interval)
  const retries = strings.get("health-retries")
  check.retries = (retries === undefined ? image.Retries : retriesOf(retries)) || DEFAULTS.retries
  const onFailure = onFailureOf(strings.get("health-on-failure"))
  if (command !== null) return { ...check, ...onFailure }
  if (onFailure.onFailure !== undefined)
    throw new UsageError("--health-on-failure needs a health check", { hint: "--health-cmd COMMAND" })
  return null
}

/** The same, as a part of what a supervisor has to know. Throws UsageError. */
export function healthOption(argv: ParsedArgv, image: Healthcheck): { health?: HealthCheck } {
  const health = healthCheck(argv, image)
  return health ? { health } : {}
}
