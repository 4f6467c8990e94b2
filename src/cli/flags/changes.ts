/** --change of `commit` and `import`: instructions of a Dockerfile, as docker takes them. */
import { UsageError } from "../../errors.ts"
import type { ContainerConfig, Healthcheck } from "../../image/config.ts"
import { parseExposed, rangeLength } from "../../network/ports.ts"
import { parseHealthTime } from "../duration.ts"
import { expanded, rawWords } from "./dockerfile-words.ts"
import { normalPath } from "./path.ts"
import { signalNumber } from "./process.ts"

type Change = (config: ContainerConfig, text: string, whole: string) => Partial<ContainerConfig>

const fault = (whole: string, why: string) => new UsageError(`--change: "${whole}": ${why}`)

/** ["a", "b"]; null where the text is no such list. */
function jsonWords(text: string): string[] | null {
  if (!text.startsWith("[")) return null
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((word) => typeof word === "string") ? value : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** A list, or what /bin/sh is to run. */
const commandWords = (text: string): string[] => jsonWords(text) ?? (text === "" ? [] : ["/bin/sh", "-c", text])

function raw(text: string, whole: string): string[] {
  const words = rawWords(text)
  if (words === null) throw fault(whole, "a quote is not closed")
  return words
}

const wordsOf = (text: string, whole: string, { Env }: ContainerConfig): string[] =>
  raw(text, whole).map((word) => expanded(word, Env))

/** KEY=VALUE words, or one key and the rest of the line. */
function pairs(text: string, whole: string, { Env }: ContainerConfig): [string, string][] {
  const words = raw(text, whole)
  const [, first = "", rest] = /^(\S+)\s+(.*)$/s.exec(text) ?? []
  const found: [string, string][] =
    rest !== undefined && !words[0]?.includes("=")
      ? [[first, rest]]
      : words.map((word) => {
          const equals = word.indexOf("=")
          if (equals < 1) throw fault(whole, `"${word}" is not KEY=VALUE`)
          return [word.slice(0, equals), word.slice(equals + 1)]
        })
  return found.map(([key, value]) => [expanded(key, Env), expanded(value, Env)])
}

function one(text: string, whole: string, config: ContainerConfig): string {
  const [word, ...more] = wordsOf(text, whole, config)
  if (word === undefined || more.length > 0) throw fault(whole, "one word is needed")
  return word
}

/** A port, or each one of a range: images have no ranges. */
function portsOf(word: string, whole: string): string[] {
  const { ports, protocol } = parseExposed(`--change: "${whole}"`, word)
  return Array.from({ length: rangeLength(ports) }, (_, i) => `${ports.first + i}/${protocol}`)
}

const union = (one: readonly string[], other: readonly string[]) => [...new Set([...one, ...other])]

const TIMES: Readonly<Record<string, "Interval" | "Timeout" | "StartPeriod" | "StartInterval">> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
}

function healthcheck(text: string, whole: string): Healthcheck {
  if (/^none$/i.test(text)) return { Test: ["NONE"] }
  const found: Healthcheck = {}
  let rest = text
  for (let match = /^--([a-z-]+)=(\S+)\s+/.exec(rest); match; match = /^--([a-z-]+)=(\S+)\s+/.exec(rest)) {
    const [all, name = "", value = ""] = match
    const key = Object.hasOwn(TIMES, name) ? TIMES[name] : undefined
    const milliseconds = key ? parseHealthTime(value) : null
    if (key && milliseconds !== null) found[key] = milliseconds * 1e6
    else if (name === "retries" && /^\d{1,6}$/.test(value)) found.Retries = Number(value)
    else if (key) throw fault(whole, `--${name}=${value} is no duration of at least 1ms`)
    else throw fault(whole, `--${name}=${value} is not understood`)
    rest = rest.slice(all.length)
  }
  const [, command] = /^CMD\s+(.+)$/is.exec(rest) ?? []
  if (command === undefined) throw fault(whole, "CMD or NONE is needed")
  const words = jsonWords(command)
  return { ...found, Test: words ? ["CMD", ...words] : ["CMD-SHELL", command] }
}

const CHANGES: Readonly<Record<string, Change>> = {
  CMD: (_, text) => ({ Cmd: commandWords(text) }),
  ENTRYPOINT: (_, text) => ({ Entrypoint: commandWords(text) }),
  ENV(config, text, whole) {
    const given = pairs(text, whole, config)
    const kept = config.Env.filter((entry) => !given.some(([key]) => entry.startsWith(`${key}=`)))
    return { Env: [...kept, ...given.map(([key, value]) => `${key}=${value}`)] }
  },
  EXPOSE(config, text, whole) {
    const ports = wordsOf(text, whole, config).flatMap((word) => portsOf(word, whole))
    return { ExposedPorts: union(config.ExposedPorts, ports) }
  },
  HEALTHCHECK: (_, text, whole) => ({ Healthcheck: healthcheck(text, whole) }),
  LABEL: (config, text, whole) => ({
    Labels: { ...config.Labels, ...Object.fromEntries(pairs(text, whole, config)) },
  }),
  ONBUILD: ({ OnBuild = [] }, text) => ({ OnBuild: [...OnBuild, text] }),
  STOPSIGNAL(config, text, whole) {
    const word = one(text, whole, config)
    signalNumber(`--change: "${whole}"`, word)
    return { StopSignal: word }
  },
  USER: (config, text, whole) => ({ User: one(text, whole, config) }),
  VOLUME(config, text, whole) {
    const places = jsonWords(text)?.map((word) => expanded(word, config.Env)) ?? wordsOf(text, whole, config)
    return { Volumes: union(config.Volumes, places) }
  },
  WORKDIR(config, text, whole) {
    const path = one(text, whole, config)
    return { WorkingDir: normalPath(path.startsWith("/") ? path : `/${config.WorkingDir}/${path}`) }
  },
}

/** A config with instructions carried out on it, one after the other. Throws UsageError. */
export function applyChanges(config: ContainerConfig, texts: readonly string[]): ContainerConfig {
  const names = new Set<string>()
  let changed = config
  for (const whole of texts) {
    const [, name = "", text = ""] = /^\s*([a-z]+)(?:[\s=]\s*(.*?))?\s*$/is.exec(whole) ?? []
    const key = name.toUpperCase()
    const change = Object.hasOwn(CHANGES, key) ? CHANGES[key] : undefined
    if (change === undefined) throw fault(whole, `no instruction for this (${Object.keys(CHANGES).join(", ")})`)
    if (text === "" && key !== "CMD" && key !== "ENTRYPOINT") throw fault(whole, "something is missing")
    names.add(key)
    changed = { ...changed, ...change(changed, text, whole) }
  }
  // A command was meant for the entry point that was there before it.
  return names.has("ENTRYPOINT") && !names.has("CMD") ? { ...changed, Cmd: [] } : changed
}
