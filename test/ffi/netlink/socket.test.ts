import { describe, expect, test } from "bun:test"
import { NETLINK_NETFILTER, NETLINK_ROUTE, NLM_F_ACK, NLM_F_REQUEST } from "../../../ffi/constants/netlink.ts"
import { close, writeAll } from "../../../ffi/fs.ts"
import * as attr from "../../../ffi/netlink/attributes.ts"
import { NetlinkError } from "../../../ffi/netlink/errors.ts"
import { attributesOf, encodeMessages, type Message } from "../../../ffi/netlink/messages.ts"
import { closeNetlink, dump, openNetlink, request, transact } from "../../../ffi/netlink/socket.ts"
import { socketPair } from "../../../ffi/pipe.ts"

const RTM_GETLINK = 18
const IFLA_IFNAME = 3

const link = (name: string | null): Message => ({
  type: RTM_GETLINK,
  flags: NLM_F_REQUEST,
  header: new Uint8Array(16),
  attributes: name === null ? [] : [attr.text(IFLA_IFNAME, name)],
  what: `ip link show ${name}`,
})

function withSocket<T>(use: (socket: ReturnType<typeof openNetlink>) => T, protocol = NETLINK_ROUTE): T {
  const socket = openNetlink(protocol)
  try {
    return use(socket)
  } finally {
    closeNetlink(socket)
  }
}

const nameOf = (message: Parameters<typeof attributesOf>[0]) =>
  attr.readString(attr.find(attributesOf(message, 16), IFLA_IFNAME) ?? new Uint8Array())

describe("a socket of NETLINK_ROUTE", () => {
  test("answers a request, and the next one", () => {
    withSocket((socket) => {
      for (let i = 0; i < 3; i++) expect(request(socket, link("lo")).map(nameOf)).toEqual(["lo"])
    })
  })

  test("several messages at once, of which some fail: each has its own answer", () => {
    withSocket((socket) => {
      const flags = NLM_F_REQUEST | NLM_F_ACK
      const messages = ["lo", "nonesuch0", "lo", "nonesuch1"].map((name) => ({ ...link(name), flags }))
      const { replies, errors } = transact(socket, messages)
      expect(replies.map(({ index, message }) => [index, nameOf(message)])).toEqual([
        [0, "lo"],
        [2, "lo"],
      ])
      expect(errors.map(({ index, errno }) => [index, errno])).toEqual([
        [1, "ENODEV"],
        [3, "ENODEV"],
      ])
      expect(() => request(socket, link("nonesuch0"))).toThrow(NetlinkError)
      expect(request(socket, link("lo"))).toHaveLength(1)
    })
  })

  test("a dump is whole, and may be repeated", () => {
    withSocket((socket) => {
      expect(dump(socket, link(null)).map(nameOf)).toContain("lo")
      expect(dump(socket, link(null)).map(nameOf)).toContain("lo")
    })
  })

  test("what the kernel does not know is an error with its own text", () => {
    withSocket((socket) => {
      const nonsense = { ...link("lo"), attributes: [attr.bytes(IFLA_IFNAME, new Uint8Array(40).fill(65))] }
      expect(() => request(socket, nonsense)).toThrow(/netlink\(ip link show lo\): E\w+ \(.*attribute 3\)/)
      expect(() => request(socket, { ...link("lo"), type: 0x7000 })).toThrow("EOPNOTSUPP")
    })
  })

  test("a thousand messages fit", () => {
    withSocket((socket) => {
      const flags = NLM_F_REQUEST | NLM_F_ACK
      const { errors } = transact(
        socket,
        Array.from({ length: 1000 }, (_, i) => ({ ...link(`nonesuch${i}`), flags })),
      )
      expect(errors).toHaveLength(1000)
    })
  })
})

test("a socket of NETLINK_NETFILTER answers, too", () => {
  const unknown: Message = {
    type: (0x7f << 8) | 1,
    flags: NLM_F_REQUEST,
    header: new Uint8Array([0, 0, 0, 0]),
    attributes: [],
    what: "a subsystem that does not exist",
  }
  withSocket((socket) => expect(() => request(socket, unknown)).toThrow("EINVAL"), NETLINK_NETFILTER)
})

describe("answers that are none", () => {
  /** A socket whose kernel is the test. */
  function answering(...datagrams: Uint8Array[]) {
    const [ours, theirs] = socketPair()
    for (const bytes of datagrams) writeAll(theirs, bytes)
    try {
      return request({ fd: ours, sequence: 1 }, link("lo"))
    } finally {
      close(ours)
      close(theirs)
    }
  }
  const message = (type: number, payload: number, sequence = 1) =>
    encodeMessages([{ type, flags: 0, header: new Uint8Array(payload), attributes: [], what: "" }], sequence)
  const ACK = message(2, 20)

  test("are errors: cut off, of other types, for messages never sent", () => {
    expect(answering(ACK)).toEqual([])
    for (const bogus of [ACK.subarray(0, 10), ACK.subarray(0, 30), message(4, 4), message(2, 0), message(2, 20, 9)])
      expect(() => answering(bogus)).toThrow(attr.BogusAnswer)
  })

  test("those to an earlier request are passed over", () => {
    expect(answering(message(2, 20, 0), ACK)).toEqual([])
  })
})
