/** How far a transfer, and its parts, are: bars on a terminal, lines at long intervals elsewhere. On standard error. */
import { writeAll } from "../../ffi/fs.ts"
import { isTerminal, windowSize } from "../../ffi/tty.ts"
import { notice } from "../log.ts"

const BAR_EVERY = 100
const LINE_EVERY = 10_000
// The rate is that of the last seconds, weighted down by age.
const RATE_MEMORY = 3000
const WIDEST_BAR = 30
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

/** A part of a transfer, under way. */
export interface ProgressPart {
  add(bytes: number): void
  /** It is over: with a text that is told of it, as in "NAME: 3.2 MB unpacked in 1.2 s". */
  end(text: string | null): void
}

export interface Progress {
  /** So many bytes more. */
  add(bytes: number): void
  /** Something of the whole, whose bytes count for both. `total` is null where nobody knows. */
  part(name: string, total: number | null): ProgressPart
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
  part: () => ({ add: () => {}, end: () => {} }),
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

/** Bytes that have come, and at what rate. */
function meter(label: string, total: number | null) {
  const start = performance.now()
  const state: ProgressState = { label, bytes: 0, total, rate: 0 }
  let sampled = start
  let sampledBytes = 0
  return {
    start,
    state,
    add(bytes: number) {
      state.bytes += bytes
    },
    restart(size: number | null) {
      state.bytes = 0
      state.total = size
      sampledBytes = 0
    },
    sample(now: number) {
      const span = now - sampled
      if (span < BAR_EVERY) return
      const current = ((state.bytes - sampledBytes) / span) * 1000
      const weight = Math.min(1, span / Math.min(RATE_MEMORY, now - start))
      state.rate += (current - state.rate) * weight
      sampled = now
      sampledBytes = state.bytes
    },
  }
}

type Meter = ReturnType<typeof meter>

/** Rows at the bottom of the terminal, drawn anew in their place. */
function rowsBelow() {
  let drawn = 0
  const home = () => `\r${drawn > 1 ? `\x1b[${drawn - 1}A` : ""}\x1b[J`
  return {
    draw(states: readonly ProgressState[]) {
      // Asked each time: the window's size changes.
      const { width = 0, height = 0 } = windowSize(2) ?? {}
      const shown = states.slice(-Math.max(1, (height || DEFAULT_ROWS) - 1))
      const rows = shown.map((state) => progressBar(state, width || DEFAULT_COLUMNS))
      put(`${home()}${rows.join("\n")}`)
      drawn = rows.length
    },
    clear() {
      if (drawn > 0) put(home())
      drawn = 0
    },
  }
}

/** Begins to tell of a transfer; with `quiet` nothing is told. */
export function startProgress(label: string, quiet: boolean): Progress {
  if (quiet) return SILENT
  const rows = isTerminal(2) && process.env.TERM !== "dumb" ? rowsBelow() : null
  const whole = meter(label, null)
  const parts = new Set<Meter>()
  let shown = whole.start
  const show = () => {
    const now = performance.now()
    if (now - shown < (rows ? BAR_EVERY : LINE_EVERY)) return
    shown = now
    const meters = rows ? [...parts, whole] : [whole]
    for (const one of meters) one.sample(now)
    if (rows) rows.draw(meters.map(({ state }) => state))
    else notice(progressLine(whole.state))
  }
  const say = (text: string) => {
    rows?.clear()
    notice(text)
  }
  const since = (start: number) => formatDuration(performance.now() - start)
  return {
    add(bytes) {
      whole.add(bytes)
      show()
    },
    part(name, total) {
      const part = meter(name, total)
      parts.add(part)
      return {
        add(bytes) {
          part.add(bytes)
          whole.add(bytes)
          show()
        },
        end(text) {
          if (parts.delete(part) && text !== null)
            say(`${name}: ${formatBytes(part.state.bytes)} ${text} in ${since(part.start)}`)
        },
      }
    },
    restart: whole.restart,
    bytes: () => whole.state.bytes,
    note: say,
    done: (text) => say(`${text} in ${since(whole.start)}`),
    stop: () => rows?.clear(),
  }
}
