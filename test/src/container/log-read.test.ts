import { describe, expect, test } from "bun:test"
import { appendFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { close } from "../../../ffi/fs.ts"
import { logPath } from "../../../src/container/log-files.ts"
import {
  type LogEntry,
  type LogFile,
  openLogFiles,
  openLogFilesAfter,
  readOn,
  seekLastLines,
} from "../../../src/container/log-read.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"
import { random } from "../cgroup/random.ts"

cleanUpAfterAll()

const MOST = 3
const entry = (text: string, part = false) => `2026-01-02T03:04:05.123456789Z stdout ${part ? "P" : "F"} ${text}\n`

/** As the writer does it. */
function rotate(directory: string): void {
  rmSync(logPath(directory, MOST - 1), { force: true })
  for (let n = MOST - 2; n >= 0; n--)
    if (existsSync(logPath(directory, n))) renameSync(logPath(directory, n), logPath(directory, n + 1))
}

const write = (directory: string, ...texts: string[]) =>
  appendFileSync(logPath(directory, 0), texts.map((text) => entry(text)).join(""))

const textOf = (entries: readonly LogEntry[]) => Buffer.concat(entries.map(({ content }) => content)).toString()

function contents(files: readonly LogFile[]): string {
  const pieces: LogEntry[] = []
  for (const file of files) readOn(file, (entries) => pieces.push(...entries))
  return textOf(pieces)
}

const closeAll = (files: readonly LogFile[]) => {
  for (const { fd } of files) close(fd)
}

describe("the last lines of a log", () => {
  test("are those of a simple count, over files, parts of lines, long and empty ones (seed 21)", () => {
    const { int, chance, pick } = random(21)
    for (let round = 0; round < 60; round++) {
      const directory = temporaryDirectory()
      for (let n = 0; n < int(1, MOST); n++) {
        if (n > 0) rotate(directory)
        let text = ""
        for (let i = int(0, 40); i > 0; i--)
          text += entry(pick(["", "x", "a line", "y".repeat(int(0, 3000)), "z".repeat(70_000)]), chance(0.2))
        writeFileSync(logPath(directory, 0), text)
      }
      const all: LogEntry[] = []
      for (const file of openLogFiles(directory, MOST)) readOn(file, (entries) => all.push(...entries))
      for (const count of [0, 1, 2, 5, 1000]) {
        const files = seekLastLines(openLogFiles(directory, MOST), count)
        expect(contents(files)).toBe(textOf(lastLines(all, count)))
        closeAll(files)
      }
    }
  })

  test("are found in a file that has none", () => {
    const directory = temporaryDirectory()
    writeFileSync(logPath(directory, 0), "")
    expect(contents(seekLastLines(openLogFiles(directory, MOST), 5))).toBe("")
    expect(seekLastLines(openLogFiles(temporaryDirectory(), MOST), 5)).toEqual([])
  })
})

/** The parts of a line belong to it; a last line that has no end yet is one, too. */
function lastLines(entries: readonly LogEntry[], count: number): readonly LogEntry[] {
  let lines = 0
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i]?.content.at(-1) === 10 || i === entries.length - 1) lines++
    if (lines > count) return entries.slice(i + 1)
  }
  return entries
}

describe("a reader behind the rotation", () => {
  test("goes on with the next file, and the one after that", () => {
    const directory = temporaryDirectory()
    write(directory, "one")
    const [first] = openLogFiles(directory, MOST) as [LogFile]
    expect(contents([first])).toBe("one\n")
    write(directory, "two")
    rotate(directory)
    write(directory, "three")
    rotate(directory)
    write(directory, "four")
    expect(contents([first])).toBe("two\n")
    const { files, lost } = openLogFilesAfter(first, directory, MOST)
    expect([contents(files), lost]).toEqual(["three\nfour\n", false])
    closeAll([first, ...files])
  })

  test("is told where it has come too late", () => {
    const directory = temporaryDirectory()
    write(directory, "one")
    const [first] = openLogFiles(directory, MOST) as [LogFile]
    for (const text of ["two", "three", "four"]) {
      rotate(directory)
      write(directory, text)
    }
    const { files, lost } = openLogFilesAfter(first, directory, MOST)
    expect([contents(files), lost]).toEqual(["two\nthree\nfour\n", true])
    closeAll([first, ...files])
  })

  test("reads an entry whose end comes later", () => {
    const directory = temporaryDirectory()
    const text = entry("in two writes")
    writeFileSync(logPath(directory, 0), text.slice(0, 45))
    const [file] = openLogFiles(directory, MOST) as [LogFile]
    expect(contents([file])).toBe("")
    appendFileSync(logPath(directory, 0), text.slice(45))
    expect(contents([file])).toBe("in two writes\n")
    close(file.fd)
  })
})
