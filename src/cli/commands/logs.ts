/** toybox logs. */
import { isErrno } from "../../../ffi/errno.ts"
import { showLogs } from "../../container/logs.ts"
import { EXIT_UNREAD, UsageError } from "../../errors.ts"
import { pathsFor, requireAccess } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { withLatest } from "../chosen.ts"
import { logTime } from "../time.ts"
import { LOGS_OPTIONS } from "./logs-options.ts"

function tailLines(text: string | undefined): number | null {
  if (text === undefined || text === "all" || /^-\d+$/.test(text)) return null
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--tail: "${text}" is no number of lines (or all)`)
  return Number(text)
}

export async function logsCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, LOGS_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("logs")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  requireAccess(paths)
  const [container, superfluous] = withLatest(paths, argv).rest
  if (container === undefined || superfluous !== undefined)
    throw new UsageError("logs needs one container's name or id", { hint: "toybox ps -a lists them" })
  const now = Date.now()
  const options = {
    follow: booleans.get("follow") ?? false,
    timestamps: booleans.get("timestamps") ?? false,
    since: logTime("--since", strings.get("since"), now),
    until: logTime("--until", strings.get("until"), now),
    tail: tailLines(strings.get("tail")),
  }
  try {
    showLogs(paths, container, options)
  } catch (error) {
    if (!isErrno(error, "EPIPE")) throw error
    return EXIT_UNREAD
  }
  return 0
}
