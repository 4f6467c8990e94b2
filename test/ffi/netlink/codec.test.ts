import { describe, expect, test } from "bun:test"
import { NLM_F_ACK_TLVS, NLM_F_CAPPED } from "../../../ffi/constants/netlink.ts"
import * as attr from "../../../ffi/netlink/attributes.ts"
import { attributePath, decodeAck, NetlinkError } from "../../../ffi/netlink/errors.ts"
import { attributesOf, decodeMessages, encodeMessages, type Message } from "../../../ffi/netlink/messages.ts"
import { type Random, random } from "../../src/cgroup/random.ts"

const hex = (bytes: Uint8Array) => bytes.toHex()
const fromHex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""))

const randomBytes = (r: Random, length: number) => Uint8Array.from({ length }, () => r.int(0, 255))
const randomAttribute = (r: Random, depth: number): attr.Attribute =>
  depth > 0 && r.chance(0.3)
    ? attr.nested(
        r.int(0, 0x3fff),
        Array.from({ length: r.int(0, 4) }, () => randomAttribute(r, depth - 1)),
      )
    : attr.bytes(r.int(0, 0x3fff), randomBytes(r, r.int(0, 40)), r.pick([0, 0x4000]))

function randomMessage(r: Random): Message {
  const attributes = Array.from({ length: r.int(0, 6) }, () => randomAttribute(r, 3))
  return {
    type: r.int(16, 0xffff),
    flags: r.int(0, 0xffff),
    header: randomBytes(r, r.int(0, 20)),
    attributes,
    what: "",
  }
}

// ip -n x link add v0 type veth peer name v1, as strace shows it.
const IP_LINK_ADD = fromHex(`
  54000000 10000506 26ef046b 00000000 00000000000000000000000000000000
  07000300 76300000 2c001200 08000100 76657468 20000200 1c000100
  00000000000000000000000000000000 07000300 76310000`)

describe("attributes", () => {
  test.each([1, 2, 3])("are read as they were written (seed %i)", (seed) => {
    const r = random(seed)
    for (let i = 0; i < 300; i++) {
      const attributes = Array.from({ length: r.int(0, 8) }, () => randomAttribute(r, 3))
      const bytes = attr.encodeAttributes(attributes)
      expect(bytes.length).toBe(attr.attributesSize(attributes))
      expect(attr.decodeAttributes(bytes)).toEqual(attributes)
      for (const { type } of [...attributes, { type: 0x3fff }])
        expect(attr.findIn(bytes, type)).toEqual(attr.find(attributes, type))
    }
  })

  test("numbers have the machine's byte order, or the network's", () => {
    const shown = (attribute: attr.Attribute) => hex(attribute.data)
    expect([attr.u8(1, 255), attr.u16(1, 0x1234), attr.u32(1, -2)].map(shown)).toEqual(["ff", "3412", "feffffff"])
    expect(shown(attr.u64(1, 0x0102030405060708n))).toBe("0807060504030201")
    expect([attr.be16(1, 0x1234), attr.be32(1, 0xdeadbeef)].map(shown)).toEqual(["1234", "deadbeef"])
    expect(shown(attr.be64(1, 7))).toBe("0000000000000007")
    expect([attr.readU16(attr.u16(1, 0xfffe).data), attr.readU32(attr.u32(1, 2 ** 32 - 1).data)]).toEqual([
      0xfffe,
      2 ** 32 - 1,
    ])
    expect([attr.readBe16(attr.be16(1, 443).data), attr.readBe32(attr.be32(1, 9).data)]).toEqual([443, 9])
    expect([attr.readU64(attr.u64(1, 5).data), attr.readBe64(attr.be64(1, 6).data)]).toEqual([5n, 6n])
    expect(attr.readU8(attr.u8(1, 200).data)).toBe(200)
  })

  test("a number is read where it is among others", () => {
    const list = attr.encodeAttributes([attr.be32(1, 7), attr.flag(2), attr.be32(1, 0xdeadbeef)])
    expect([attr.be32In(list, 1), attr.be32In(list, 3)]).toEqual([0xdeadbeef, undefined])
    expect(() => attr.be32In(list, 2)).toThrow("attribute of 0 bytes where 4 are expected")
  })

  test("strings end with a NUL, and are read up to it", () => {
    expect(hex(attr.text(3, "lo").data)).toBe("6c6f00")
    expect(attr.readString(attr.text(3, "é").data)).toBe("é")
    expect(attr.readString(fromHex("6c6f"))).toBe("lo")
    expect(() => attr.text(3, "a\0b")).toThrow(RangeError)
  })

  test("the last of a type counts; one that is too long is refused", () => {
    const list = [attr.u8(1, 1), attr.flag(2), attr.u8(1, 2)]
    expect(attr.find(list, 1)).toEqual(fromHex("02"))
    expect(attr.find(list, 3)).toBeUndefined()
    expect(attr.bytes(1, new Uint8Array(65_531)).data.length).toBe(65_531)
    expect(() => attr.bytes(1, new Uint8Array(65_532))).toThrow(RangeError)
  })

  test.each(["01", "0300", "030001", "03000100", "0500010000000000ff", "09000100ffffffff"])("%s is bogus", (text) => {
    expect(() => attr.decodeAttributes(fromHex(text))).toThrow(attr.BogusAnswer)
    expect(() => attr.findIn(fromHex(text), 1)).toThrow(attr.BogusAnswer)
  })

  test("data of another size is bogus", () => {
    for (const read of [
      attr.readU8,
      attr.readU16,
      attr.readU32,
      attr.readU64,
      attr.readBe16,
      attr.readBe32,
      attr.readBe64,
    ])
      expect(() => read(new Uint8Array(3))).toThrow(attr.BogusAnswer)
  })
})

describe("messages", () => {
  test.each([1, 2, 3])("are read as they were written (seed %i)", (seed) => {
    const r = random(seed)
    for (let i = 0; i < 100; i++) {
      const messages = Array.from({ length: r.int(1, 5) }, () => randomMessage(r))
      const received = decodeMessages(encodeMessages(messages, 77))
      expect(received.map(({ type, flags, sequence }) => ({ type, flags, sequence }))).toEqual(
        messages.map(({ type, flags }, n) => ({ type, flags, sequence: 77 + n })),
      )
      received.forEach((one, n) => {
        const { header, attributes } = messages[n] as Message
        expect(one.payload.subarray(0, header.length)).toEqual(header)
        expect(attributesOf(one, header.length)).toEqual([...attributes])
      })
    }
  })

  test.each([1, 2, 3])("random bytes are refused or read, never more (seed %i)", (seed) => {
    const r = random(seed)
    let refused = 0
    for (let i = 0; i < 500; i++) {
      const bytes = encodeMessages([randomMessage(r)], 1)
      bytes[r.int(0, bytes.length - 1)] = r.int(0, 255)
      try {
        for (const message of decodeMessages(bytes)) attributesOf(message, 4)
      } catch (error) {
        expect(error).toBeInstanceOf(attr.BogusAnswer)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(10)
  })

  test("one of ip(8) is taken apart, and made again to the byte", () => {
    const [message] = decodeMessages(IP_LINK_ADD)
    if (message === undefined) throw new Error("no message")
    const peer = attr.bytes(1, Uint8Array.from([...new Uint8Array(16), ...attr.encodeAttributes([attr.text(3, "v1")])]))
    const attributes = [
      attr.text(3, "v0"),
      attr.nested(18, [attr.bytes(1, new TextEncoder().encode("veth")), attr.nested(2, [peer], 0)], 0),
    ]
    expect(attributesOf(message, 16).map(({ type }) => type)).toEqual([3, 18])
    const ours = { type: 16, flags: message.flags, header: new Uint8Array(16), attributes, what: "" }
    expect(hex(encodeMessages([ours], message.sequence))).toBe(hex(IP_LINK_ADD))
  })
})

describe("acks", () => {
  const message: Message = {
    type: 16,
    flags: 5,
    header: new Uint8Array(16),
    attributes: [attr.text(3, "v0"), attr.nested(18, [attr.text(1, "nonsense")])],
    what: "ip link add v0 type nonsense",
  }
  const ack = (flags: number, payload: string, type = 2) => ({
    type,
    flags,
    sequence: 1,
    port: 0,
    payload: fromHex(payload),
  })
  const request = hex(encodeMessages([message], 1))
  const said = hex(attr.encodeAttributes([attr.text(1, "Unknown device type"), attr.u32(2, 44)]))

  test("have errno, and the kernel's text and offset where it gives them", () => {
    expect(decodeAck(ack(0, `00000000${request.slice(0, 32)}`))).toEqual({ errno: 0 })
    expect(decodeAck(ack(0, `ffffffff${request}`))).toEqual({ errno: 1 })
    const full = { errno: 95, text: "Unknown device type", offset: 44 }
    expect(decodeAck(ack(NLM_F_ACK_TLVS, `a1ffffff${request}${said}`))).toEqual(full)
    expect(decodeAck(ack(NLM_F_ACK_TLVS | NLM_F_CAPPED, `a1ffffff${request.slice(0, 32)}${said}`))).toEqual(full)
    expect(decodeAck(ack(NLM_F_ACK_TLVS, `a1ffffff${said}`, 3))).toEqual(full)
  })

  test.each(["", "ffff", "01000000", "a1ffffff", `a1ffffff${"ff".repeat(16)}`])("%s is bogus", (payload) => {
    expect(() => decodeAck(ack(NLM_F_ACK_TLVS, payload))).toThrow(attr.BogusAnswer)
  })

  test("an error names the request, the text, and the attribute at fault", () => {
    expect(attributePath(message, 44)).toEqual([18, 1])
    expect(attributePath(message, 40)).toEqual([18])
    expect(attributePath(message, 32)).toEqual([3])
    expect(attributePath(message, 500)).toEqual([])
    const error = new NetlinkError(message, { errno: 95, text: "Unknown device type", offset: 44 })
    expect(error.errno).toBe("EOPNOTSUPP")
    expect(error.message).toBe(
      "netlink(ip link add v0 type nonsense): EOPNOTSUPP (Unknown device type; attribute 18.1)",
    )
  })
})
