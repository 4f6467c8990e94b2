import { expect, test } from "bun:test"
import * as nf from "../../../../ffi/constants/nf_tables.ts"
import { bytes, encodeAttributes } from "../../../../ffi/netlink/attributes.ts"
import * as ex from "../../../../src/network/firewall/expressions.ts"
import { judge, openRule } from "../../../../src/network/firewall/judge.ts"
import { machineFor } from "../../../../src/network/firewall/machine.ts"
import type { Packet } from "../../../../src/network/firewall/packet.ts"

const { NFT_REG_1: ONE, NFT_PAYLOAD_NETWORK_HEADER: NETWORK } = nf
const packet: Packet = {
  family: "ip",
  from: { link: { name: "tbblue", index: 7 }, address: Uint8Array.of(10, 88, 0, 2) },
  to: { link: { name: "out", index: 2 }, address: null },
  state: "new",
  answers: false,
  led: false,
}
const [source, destination] = [12, 16].map((offset) => ex.payload(NETWORK, offset, 4, ONE)) as [
  ex.Expression,
  ex.Expression,
]
const isEqual = (...address: number[]) => ex.compare(ONE, nf.NFT_CMP_EQ, Uint8Array.from(address))
const drops = ex.verdict(nf.NF_DROP)
/** An expression that cannot be read. */
const broken = bytes(1, Uint8Array.of(3, 0, 0))

const verdictOf = (...expressions: ex.Expression[]) => {
  const read: string[] = []
  const machine = machineFor(packet, (name) => {
    read.push(name)
    return { elements: [] }
  })
  return { verdict: judge(openRule(encodeAttributes(expressions)), machine), read }
}

test("a rule drops what it means", () => {
  expect(verdictOf(source, isEqual(10, 88, 0, 2), drops).verdict).toEqual({ kind: "drop" })
  expect(verdictOf(source, isEqual(10, 88, 0, 3), drops).verdict).toBeNull()
})

test("of a rule that means another packet, or asks what is not known, nothing more is read, nor its sets", () => {
  expect(() => verdictOf(source, isEqual(10, 88, 0, 2), broken)).toThrow("netlink attribute")
  expect(verdictOf(source, isEqual(10, 88, 0, 3), broken)).toEqual({ verdict: null, read: [] })
  expect(verdictOf(destination, isEqual(10, 88, 0, 3), broken)).toEqual({ verdict: null, read: [] })
  expect(verdictOf(destination, ex.inSet("large", ONE), broken)).toEqual({ verdict: null, read: [] })
  expect(verdictOf(source, ex.inSet("large", ONE), drops)).toEqual({ verdict: null, read: ["large"] })
})

test("what a set without elements does not have is known", () => {
  expect(verdictOf(destination, ex.inSet("empty", ONE, true), drops)).toEqual({
    verdict: { kind: "drop" },
    read: ["empty"],
  })
})

test("each packet finds the registers empty", () => {
  const rule = openRule(encodeAttributes([isEqual(10, 88, 0, 2), drops]))
  const machine = machineFor(packet, () => ({ elements: [] }))
  judge(openRule(encodeAttributes([source])), machine)
  expect(judge(rule, machine)).toBeNull()
})
