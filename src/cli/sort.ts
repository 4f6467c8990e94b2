/** `--sort` of commands that list, podman's. */
import { UsageError } from "../errors.ts"

/** What things are sorted by, under its name; `newest` puts the greatest first. */
export type SortKeys<Thing> = Readonly<
  Record<string, { readonly of: (thing: Thing) => string | number; readonly newest?: true }>
>

const compare = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0)

/** Sorts as is asked; without a wish they stay in their order. Throws UsageError. */
export function sorted<Thing>(things: readonly Thing[], wish: string | undefined, keys: SortKeys<Thing>): Thing[] {
  if (wish === undefined) return [...things]
  const key = Object.hasOwn(keys, wish) ? keys[wish] : undefined
  if (key === undefined)
    throw new UsageError(`--sort: "${wish}" is not known`, { hint: `use ${Object.keys(keys).sort().join(", ")}` })
  const direction = key.newest ? -1 : 1
  return things.toSorted((a, b) => direction * compare(key.of(a), key.of(b)))
}
