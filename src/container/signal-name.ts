/** Names of signals: signal(7). */
import * as signals from "../../ffi/constants/signal.ts"

/** SIGTERM, or the number where there is no name for it. */
export const signalName = (number: number): string =>
  Object.entries(signals).find(([name, value]) => value === number && /^SIG[A-Z0-9]+$/.test(name))?.[0] ??
  String(number)
