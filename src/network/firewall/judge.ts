/** What rules of nf_tables do with a packet: the expressions of linux/netfilter/nf_tables.h, carried out as far as they are known. */
import * as nf from "../../../ffi/constants/nf_tables.ts"
import { attributeAt, be32In, findIn, readString } from "../../../ffi/netlink/attributes.ts"
import { type KnownElement, type Verdict, verdictIn } from "./answers.ts"
import { type Known, type KnownSet, type Machine, UNKNOWN } from "./machine.ts"
import { type Answer, xtMatches } from "./packet.ts"

/**
 * An expression: what becomes of a packet, null where its rule means another, or asks what is not known, which is taken to mean
 * another; undefined: the next expression of the rule is asked.
 */
type Expression = (machine: Machine) => Verdict | undefined

/** The expressions of a rule, each decoded when a packet first comes to it. */
export type Rule = (index: number) => Expression | undefined

const isKnown = (bytes: Known): boolean => !Array.prototype.includes.call(bytes, UNKNOWN)

function compareBytes(bytes: Known, other: Uint8Array): number {
  for (let i = 0; i < other.length; i++) {
    const difference = (bytes[i] ?? 0) - (other[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const OPERATORS: Readonly<Record<number, (order: number) => boolean>> = {
  [nf.NFT_CMP_EQ]: (order) => order === 0,
  [nf.NFT_CMP_NEQ]: (order) => order !== 0,
  [nf.NFT_CMP_LT]: (order) => order < 0,
  [nf.NFT_CMP_LTE]: (order) => order <= 0,
  [nf.NFT_CMP_GT]: (order) => order > 0,
  [nf.NFT_CMP_GTE]: (order) => order >= 0,
}

/** The element that a value is in: null where there is none, undefined where it is not known. */
function lookUp({ elements: all, get }: KnownSet, value: Known): KnownElement | null | undefined {
  const elements = all.filter(isOfValues)
  const otherwise = all.find((element) => !isOfValues(element)) ?? null
  if (elements.length === 0) return otherwise
  // Ranges of several parts at once are not read.
  if (!isKnown(value) || elements.some(({ ranged }) => ranged)) return undefined
  if (get) return get(Uint8Array.from(value))
  if (!elements.some(({ end }) => end)) return elements.find(({ key }) => compareBytes(value, key) === 0) ?? otherwise
  const before = elements
    .filter(({ key }) => compareBytes(value, key) >= 0)
    .sort((a, b) => Buffer.compare(b.key, a.key) || Number(a.end) - Number(b.end))[0]
  return before === undefined || before.end ? otherwise : before
}

/** Not of the one for all others. */
const isOfValues = ({ key }: KnownElement) => key.length > 0

const number = (attributes: Uint8Array, type: number): number => be32In(attributes, type) ?? 0
const NOTHING = new Uint8Array()
const data = (attributes: Uint8Array, type: number): Uint8Array => {
  const value = findIn(attributes, type)
  return (value && findIn(value, nf.NFTA_DATA_VALUE)) ?? NOTHING
}

const PASSES: Expression = () => undefined
const MEANS_ANOTHER: Expression = () => null
const verdict = (found: Verdict): Expression => {
  return () => found
}
const loads = (load: (machine: Machine) => void): Expression => {
  return (machine) => {
    load(machine)
    return undefined
  }
}
const asks = (question: (machine: Machine) => Answer): Expression => {
  return (machine) => (question(machine) === true ? undefined : null)
}

function payload(its: Uint8Array): Expression {
  const [offset, length] = [number(its, nf.NFTA_PAYLOAD_OFFSET), number(its, nf.NFTA_PAYLOAD_LEN)]
  const register = number(its, nf.NFTA_PAYLOAD_DREG)
  const isOfNetwork = number(its, nf.NFTA_PAYLOAD_BASE) === nf.NFT_PAYLOAD_NETWORK_HEADER
  return loads((machine) => machine.load(register, isOfNetwork ? machine.header : NOTHING, offset, length))
}

function bitwise(its: Uint8Array): Expression {
  const length = number(its, nf.NFTA_BITWISE_LEN)
  const [mask, xor] = [data(its, nf.NFTA_BITWISE_MASK), data(its, nf.NFTA_BITWISE_XOR)]
  const isBoolean = number(its, nf.NFTA_BITWISE_OP) === 0
  const [from, to] = [number(its, nf.NFTA_BITWISE_SREG), number(its, nf.NFTA_BITWISE_DREG)]
  return loads((machine) => {
    const changed = Array.from(machine.read(from, length), (byte, i) => {
      // What is masked out is known, whatever it was.
      if (isBoolean && mask[i] === 0) return xor[i] ?? 0
      return byte === UNKNOWN || !isBoolean ? UNKNOWN : (byte & (mask[i] ?? 0)) ^ (xor[i] ?? 0)
    })
    machine.load(to, changed)
  })
}

function range(its: Uint8Array): Expression {
  const [low, high] = [data(its, nf.NFTA_RANGE_FROM_DATA), data(its, nf.NFTA_RANGE_TO_DATA)]
  const register = number(its, nf.NFTA_RANGE_SREG)
  const isWithin = number(its, nf.NFTA_RANGE_OP) === nf.NFT_RANGE_EQ
  return asks((machine) => {
    const [above, below] = [machine.compare(register, low), machine.compare(register, high)]
    return above === null || below === null ? null : (above >= 0 && below <= 0) === isWithin
  })
}

function compare(its: Uint8Array): Expression {
  const value = data(its, nf.NFTA_CMP_DATA)
  const register = number(its, nf.NFTA_CMP_SREG)
  const holds = OPERATORS[number(its, nf.NFTA_CMP_OP)]
  if (!holds) return MEANS_ANOTHER
  return asks((machine) => {
    const order = machine.compare(register, value)
    return order === null ? null : holds(order)
  })
}

function lookup(its: Uint8Array): Expression {
  const name = readString(findIn(its, nf.NFTA_LOOKUP_SET) ?? NOTHING)
  const from = number(its, nf.NFTA_LOOKUP_SREG)
  const register = be32In(its, nf.NFTA_LOOKUP_DREG) ?? null
  const inverted = (number(its, nf.NFTA_LOOKUP_FLAGS) & nf.NFT_LOOKUP_F_INV) !== 0
  return (machine) => {
    // Whatever is in it: it need not be read.
    if (register === null && !inverted && machine.read(from, 1)[0] === UNKNOWN) return null
    const set = machine.sets(name)
    const length = set.elements.find(isOfValues)?.key.length ?? 0
    const element = lookUp(set, machine.read(from, length))
    if (element === undefined || (element !== null) === inverted) return null
    if (register === null || element === null) return undefined
    if (register === nf.NFT_REG_VERDICT) return element.verdict
    machine.load(register, element.data ?? NOTHING)
    return undefined
  }
}

function immediate(its: Uint8Array): Expression {
  const register = number(its, nf.NFTA_IMMEDIATE_DREG)
  const value = findIn(its, nf.NFTA_IMMEDIATE_DATA)
  if (register === nf.NFT_REG_VERDICT) return verdict(value === undefined ? null : verdictIn(value))
  const loaded = data(its, nf.NFTA_IMMEDIATE_DATA)
  return loads((machine) => machine.load(register, loaded))
}

function xtMatch(its: Uint8Array): Expression {
  const [match, info] = [findIn(its, nf.NFTA_MATCH_NAME), findIn(its, nf.NFTA_MATCH_INFO)]
  if (!match || !info) return MEANS_ANOTHER
  const name = readString(match)
  return asks(({ packet }) => xtMatches(name, info, packet))
}

function xtTarget(its: Uint8Array): Expression {
  return readString(findIn(its, nf.NFTA_TARGET_NAME) ?? NOTHING) === "REJECT" ? verdict({ kind: "drop" }) : PASSES
}

/** By the names that the kernel gives them. */
const EXPRESSIONS: Readonly<Record<string, (its: Uint8Array) => Expression>> = {
  payload,
  bitwise,
  range,
  lookup,
  immediate,
  cmp: compare,
  match: xtMatch,
  target: xtTarget,
  meta(its) {
    const [register, key] = [number(its, nf.NFTA_META_DREG), number(its, nf.NFTA_META_KEY)]
    return loads((machine) => machine.load(register, machine.meta(key)))
  },
  ct(its) {
    const [register, key] = [number(its, nf.NFTA_CT_DREG), number(its, nf.NFTA_CT_KEY)]
    return loads((machine) => machine.load(register, machine.conntrack(key)))
  },
  reject: () => verdict({ kind: "drop" }),
  // What a program decides.
  queue: () => verdict({ kind: "accept" }),
  counter: () => PASSES,
  log: () => PASSES,
  notrack: () => PASSES,
  objref: () => PASSES,
}

function decode(expression: Uint8Array): Expression {
  const name = findIn(expression, nf.NFTA_EXPR_NAME)
  if (name === undefined) return PASSES
  // limit, quota, fib, exthdr, socket and others ask what is not known, or load it.
  return EXPRESSIONS[readString(name)]?.(findIn(expression, nf.NFTA_EXPR_DATA) ?? NOTHING) ?? MEANS_ANOTHER
}

/** A rule, given its NFTA_RULE_EXPRESSIONS. */
export function openRule(expressions: Uint8Array): Rule {
  const decoded: Expression[] = []
  let position = 0
  return (index) => {
    while (decoded.length <= index && position < expressions.length) {
      const { data: expression, next } = attributeAt(expressions, position)
      decoded.push(decode(expression))
      position = next
    }
    return decoded[index]
  }
}

/** What a rule does with a packet. */
export function judge(rule: Rule, machine: Machine): Verdict {
  machine.reset()
  for (let index = 0; ; index++) {
    const expression = rule(index)
    if (expression === undefined) return null
    const found = expression(machine)
    if (found !== undefined) return found
  }
}
