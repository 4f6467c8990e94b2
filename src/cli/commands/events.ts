/** toybox events. */
import { followEvents, type KeptEvent } from "../../container/event-log.ts"
import { EXIT_UNREAD, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { eventFields, eventFilter, eventLine } from "../events.ts"
import { parseTemplate, render } from "../template.ts"
import { logTime } from "../time.ts"
import { EVENTS_OPTIONS } from "./events-options.ts"

export async function eventsCommand(words: readonly string[]): Promise<number> {
  const { booleans, strings, lists, rest } = parseArgv(words, EVENTS_OPTIONS)
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("events")
  if (rest.length > 0) throw new UsageError("events takes options only", { hint: "--filter container=NAME" })
  const format = booleans.get("json") ? "json" : strings.get("format")
  const template = format === undefined ? null : parseTemplate(format)
  const chosen = eventFilter(lists.get("filter") ?? [])
  const now = Date.now()
  const until = logTime("--until", strings.get("until"), now)
  const times = {
    // As docker has it: who says until when wants what has been, too.
    since: logTime("--since", strings.get("since"), now) ?? (until === null ? null : ""),
    until,
  }
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const lineOf = (event: KeptEvent) => (template ? render(template, eventFields(event)) : eventLine(event))
  const isRead = followEvents(paths, times, (event) => !chosen(event) || print([lineOf(event)]), 1)
  return isRead ? 0 : EXIT_UNREAD
}
