/** --change of `commit` and `import`: instructions of a Dockerfile, as docker takes them. */
import { UsageError } from "../../errors.ts"
import type { ContainerConfig, Healthcheck } from "../../image/config.ts"
import { parseExposed } from "../../network/ports.ts"
import { parseHealthTime } from "../duration.ts"
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

/** Words with quotes and backslashes, as a Dockerfile has them. */
function quotedWords(text: string, whole: string): string[] {
  const words: string[] = []
  let word: string | null = null
  let quote = ""
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? ""
    if (character === "\\" && quote !== "'" && i + 1 < text.length) word = (word ?? "") + text[++i]
    else if (quote !== "") {
      if (character === quote) quote = ""
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ""
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word)
      word = null
    } else word = (word ?? "") + character
  }
  if (quote !== "") throw fault(whole, "a quote is not closed")
  return word === null ? words : [...words, word]
}

/** KEY=VALUE words, or one key and the rest of the line. */
function pairs(text: string, whole: string): [string, string][] {
  const [, key = "", value] = /^([^\s=]+)\s+(.*)$/.exec(text) ?? []
  if (value !== undefined) return [[key, value]]
  return quotedWords(text, whole).map((word) => {
    const equals = word.indexOf("=")
    if (equals < 1) throw fault(whole, `"${word}" is not KEY=VALUE`)
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
}

function one(text: string, whole: string): string {
  const [word, ...more] = quotedWords(text, whole)
  if (word === undefined || more.length > 0) throw fault(whole, "one word is needed")
  return word
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
  ENV({ Env }, text, whole) {
    const given = pairs(text, whole)
    const kept = Env.filter((entry) => !given.some(([key]) => entry.startsWith(`${key}=`)))
    return { Env: [...kept, ...given.map(([key, value]) => `${key}=${value}`)] }
  },
  EXPOSE({ ExposedPorts }, text, whole) {
    const ports = quotedWords(text, whole).map((word) => {
      parseExposed(`--change: "${whole}"`, word)
      return word.includes("/") ? word : `${word}/tcp`
    })
    return { ExposedPorts: union(ExposedPorts, ports) }
  },
  HEALTHCHECK: (_, text, whole) => ({ Healthcheck: healthcheck(text, whole) }),
  LABEL: ({ Labels }, text, whole) => ({ Labels: { ...Labels, ...Object.fromEntries(pairs(text, whole)) } }),
  ONBUILD: ({ OnBuild = [] }, text) => ({ OnBuild: [...OnBuild, text] }),
  STOPSIGNAL(_, text, whole) {
    const word = one(text, whole)
    signalNumber(`--change: "${whole}"`, word)
    return { StopSignal: word }
  },
  USER: (_, text, whole) => ({ User: one(text, whole) }),
  VOLUME: ({ Volumes }, text, whole) => ({ Volumes: union(Volumes, jsonWords(text) ?? quotedWords(text, whole)) }),
  WORKDIR({ WorkingDir }, text, whole) {
    const path = one(text, whole)
    return { WorkingDir: normalPath(path.startsWith("/") ? path : `/${WorkingDir}/${path}`) }
  },
}

/** A config with instructions carried out on it, one after the other. Throws UsageError. */
export function applyChanges(config: ContainerConfig, texts: readonly string[]): ContainerConfig {
  const names = new Set<string>()
  let changed = config
  for (const whole of texts) {
    const [, name = "", text = ""] = /^\s*([a-z]+)(?:\s+(.*?))?\s*$/is.exec(whole) ?? []
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
