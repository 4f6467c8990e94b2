/** A table as data: as the lines that nft(8) reads, whatever it is for. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import type { Part } from "./parts.ts"
import type { ChainShape, SetShape, Table } from "./requests.ts"

export interface ChainOfRules extends ChainShape {
  readonly rules: readonly (readonly Part[])[]
}

export interface TableShape {
  readonly table: Table
  readonly sets: readonly SetShape[]
  readonly chains: readonly ChainOfRules[]
}

const HOOKS: Readonly<Record<number, string>> = {
  [nf.NF_INET_PRE_ROUTING]: "prerouting",
  [nf.NF_INET_FORWARD]: "forward",
  [nf.NF_INET_LOCAL_IN]: "input",
  [nf.NF_INET_LOCAL_OUT]: "output",
  [nf.NF_INET_POST_ROUTING]: "postrouting",
}

export const lineOf = (parts: readonly Part[]): string => parts.map(({ text }) => text).join(" ")

const describeSet = ({ name, key, data, interval, typeof: whole }: SetShape) =>
  `  ${data ? "map" : "set"} ${name} { ${whole ? `typeof ${whole.text}` : `type ${key.join(" . ")}`}${data ? ` : ${data.join(" . ")}` : ""}; ${interval ? "flags interval; " : ""}}`

function describeChain({ name, hook, rules }: ChainOfRules): string[] {
  const header = hook
    ? [`    type ${hook.type} hook ${HOOKS[hook.number]} priority ${hook.priority}; policy accept;`]
    : []
  return [`  chain ${name} {`, ...header, ...rules.map((parts) => `    ${lineOf(parts)}`), "  }"]
}

/** The table as `nft -f` reads it. */
export const describeShape = ({ table, sets, chains }: TableShape): string[] => [
  `table ${table.family} ${table.name} {`,
  ...sets.map(describeSet),
  ...chains.flatMap(describeChain),
  "}",
]

/** The command that makes it. */
export const describeMaking = (shape: TableShape): string[] => ["nft -f - <<'EOF'", ...describeShape(shape), "EOF"]
