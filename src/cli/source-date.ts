/** SOURCE_DATE_EPOCH: when something that is made was made, so that it is the same each time (reproducible-builds.org). */
import { UsageError } from "../errors.ts"

/** Seconds since 1970; null where it is not asked for. Throws UsageError. */
export function sourceDate(): number | null {
  const text = process.env.SOURCE_DATE_EPOCH
  if (text === undefined || text === "") return null
  if (!/^\d{1,12}$/.test(text)) throw new UsageError(`SOURCE_DATE_EPOCH: "${text}" is no number of seconds since 1970`)
  return Number(text)
}
