/** How far a transfer is: a bar on a terminal, lines at long intervals elsewhere. On standard error. */
import { writeAll } from "../../ffi/fs.ts"
import { isTerminal, windowSize } from "../../ffi/tty.ts"
import { notice } from "../log.ts"

const BAR_EVERY = 100
const LINE_EVERY = 10_000
// The rate is that of the last seconds, weighted down by age.
const RATE_MEMORY = 3000
const WIDEST_BAR = 30
const DEFAULT_COLUMNS = 80

export interface Progress {
  /** So many bytes more. */
  add(bytes: number): void
  /** The size, once it is known; from nothing again. */
  restart(total: number | null): void
  /** How many there were. */
  bytes(): number
  /** A line between. */
  note(text: string): void
  /** It is done: takes the bar away, and says `text` and how long it took. */
  done(text: string): void
  /** It failed: takes the bar away. */
  stop(): void
}

const UNITS = ["B", "kB", "MB", "GB", "TB"]

/** Bytes as people read them: 1000 steps, three digits. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** A duration as people read it. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** What is shown of a transfer. */
export interface ProgressState {
  label: string
  bytes: number
  /** Null: nobody knows. */
  total: number | null
  /** Bytes per second. */
  rate: number
}

const left = ({ bytes, total, rate }: ProgressState) =>
  total !== null && rate > 0 ? `, ${formatDuration((Math.max(0, total - bytes) / rate) * 1000)} left` : ""

/** One line of plain text. */
export function progressLine(state: ProgressState): string {
  const { label, bytes, total, rate } = state
  const share = total ? ` of ${formatBytes(total)} (${Math.floor((bytes / total) * 100)} %)` : ""
  return `${label}: ${formatBytes(bytes)}${share}, ${formatBytes(rate)}/s${left(state)}`
}

/** The same with a bar, in at most `columns` columns; the label gives way first. */
export function progressBar(state: ProgressState, columns: number): string {
  const { bytes, total, rate } = state
  const figures = total
    ? `${String(Math.floor((bytes / total) * 100)).padStart(3)} %  ${formatBytes(bytes)} of ${formatBytes(total)}  ${formatBytes(rate)}/s${left(state)}`
    : `${formatBytes(bytes)}  ${formatBytes(rate)}/s`
  // The last column stays free: writing there moves the cursor on some terminals.
  const room = columns - 1 - figures.length
  if (room < 2) return figures.slice(0, Math.max(0, columns - 1))
  const width = total ? Math.min(WIDEST_BAR, Math.max(0, room - 14)) : 0
  const filled = total ? Math.min(width, Math.floor((bytes / total) * width)) : 0
  const bar = width >= 5 ? `[${"#".repeat(filled)}${" ".repeat(width - filled)}]  ` : ""
  const labelRoom = room - bar.length - 2
  const characters = [...state.label]
  const label =
    characters.length <= labelRoom
      ? state.label
      : labelRoom < 2
        ? ""
        : `${characters.slice(0, labelRoom - 1).join("")}…`
  return `${label === "" ? "" : `${label}  `}${bar}${figures}`
}

const SILENT: Progress = {
  add: () => {},
  restart: () => {},
  bytes: () => 0,
  note: () => {},
  done: () => {},
  stop: () => {},
}

function put(text: string): void {
  try {
    writeAll(2, new TextEncoder().encode(text))
  } catch {
    // Nobody reads standard error any more: there is nobody to tell.
  }
}

/** Begins to tell of a transfer; with `quiet` nothing is told. */
export function startProgress(label: string, quiet: boolean): Progress {
  if (quiet) return SILENT
  const bar = isTerminal(2) && process.env.TERM !== "dumb"
  const start = performance.now()
  const state: ProgressState = { label, bytes: 0, total: null, rate: 0 }
  let sampled = start
  let sampledBytes = 0
  let shown = start
  let visible = false

  const clear = () => {
    if (visible) put("\r\x1b[K")
    visible = false
  }
  const sample = (now: number) => {
    const span = now - sampled
    if (span < BAR_EVERY) return
    const current = ((state.bytes - sampledBytes) / span) * 1000
    const weight = Math.min(1, span / Math.min(RATE_MEMORY, now - start))
    state.rate += (current - state.rate) * weight
    sampled = now
    sampledBytes = state.bytes
  }
  return {
    add(bytes) {
      state.bytes += bytes
      const now = performance.now()
      if (now - shown < (bar ? BAR_EVERY : LINE_EVERY)) return
      sample(now)
      shown = now
      if (!bar) return notice(progressLine(state))
      // Asked each time: the window's width changes.
      put(`\r${progressBar(state, windowSize(2)?.width || DEFAULT_COLUMNS)}\x1b[K`)
      visible = true
    },
    restart(total) {
      state.bytes = 0
      state.total = total
      sampledBytes = 0
    },
    bytes: () => state.bytes,
    note(text) {
      clear()
      notice(text)
    },
    done(text) {
      clear()
      notice(`${text} in ${formatDuration(performance.now() - start)}`)
    },
    stop: clear,
  }
}
