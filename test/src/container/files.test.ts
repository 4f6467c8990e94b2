import { describe, expect, test } from "bun:test"
import { readFileSync, statSync } from "node:fs"
import { containerFiles, fileMounts, resolvConf, writeContainerFiles } from "../../../src/container/files.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"

cleanUpAfterAll()

describe("resolv.conf", () => {
  const UPSTREAM = "nameserver 192.0.2.1\nsearch example.org\n"

  test.each<[string, string, string | null, string]>([
    [
      "ordinary servers stay",
      "search a\nnameserver 192.0.2.7\noptions edns0\n",
      null,
      "search a\nnameserver 192.0.2.7\noptions edns0\n",
    ],
    ["systemd's stub alone: its upstream servers", "nameserver 127.0.0.53\noptions edns0\n", UPSTREAM, UPSTREAM],
    ["the stub with blanks around", "nameserver\t127.0.0.53  \n", UPSTREAM, UPSTREAM],
    ["the stub, but no list of upstream servers", "nameserver 127.0.0.53\nsearch a\n", null, "search a\n"],
    [
      "the stub beside another server: that one",
      "nameserver 127.0.0.53\nnameserver 192.0.2.7\n",
      UPSTREAM,
      "nameserver 192.0.2.7\n",
    ],
    [
      "other servers on the loopback are dropped",
      "nameserver 127.0.0.1\nnameserver ::1\nnameserver 2001:db8::1\n",
      UPSTREAM,
      "nameserver 2001:db8::1\n",
    ],
    [
      "what only begins like one stays",
      "nameserver 12.7.0.1\nnameserver ::1234\n",
      null,
      "nameserver 12.7.0.1\nnameserver ::1234\n",
    ],
    [
      "a comment is no server",
      "# nameserver 127.0.0.1\nnameserver 192.0.2.7\n",
      null,
      "# nameserver 127.0.0.1\nnameserver 192.0.2.7\n",
    ],
    [
      "a server behind one of the host's links is dropped",
      "nameserver fe80::1%eth0\nnameserver 192.0.2.7\n",
      null,
      "nameserver 192.0.2.7\n",
    ],
    ["none: none is invented", "", UPSTREAM, ""],
    [
      "loopback among the upstream servers, too",
      "nameserver 127.0.0.53\n",
      "nameserver 127.0.0.1\nnameserver 192.0.2.1\n",
      "nameserver 192.0.2.1\n",
    ],
  ])("%s", (_, host, systemd, expected) => {
    expect(resolvConf(host, systemd, false)).toBe(expected)
  })

  test("the host's network has the host's servers", () => {
    expect(resolvConf("nameserver 127.0.0.53\n", UPSTREAM, true)).toBe("nameserver 127.0.0.53\n")
  })
})

test("the files of a container, for every user to read", async () => {
  const directory = temporaryDirectory()
  const request = { directory, hostname: "box", hostNetwork: false, networks: [], names: null }
  await writeContainerFiles(request, true)
  for (const [name, content] of (await containerFiles(request)).files) {
    expect(readFileSync(`${directory}/${name}`, "utf8")).toBe(content)
    expect(statSync(`${directory}/${name}`).mode & 0o777).toBe(0o644 & ~process.umask())
  }
  expect(readFileSync(`${directory}/hostname`, "utf8")).toBe("box\n")
  const hosts = readFileSync(`${directory}/hosts`, "utf8").split("\n")
  expect(hosts[0]).toBe("127.0.0.1\tlocalhost")
  expect(hosts).toContain("127.0.0.1\tbox")
  expect(fileMounts(directory).map(({ source, destination }) => [source, destination])).toEqual(
    ["hosts", "hostname", "resolv.conf"].map((name) => [`${directory}/${name}`, `/etc/${name}`]),
  )
})

test("with the host's network the host's names are seen", async () => {
  const { files } = await containerFiles({
    directory: "",
    hostname: "box",
    hostNetwork: true,
    networks: [],
    names: null,
  })
  expect(new Map(files).get("hosts")).toBe(readFileSync("/etc/hosts", "utf8"))
})

test("a domain's name comes first, and servers that only the host reaches are told of", async () => {
  const places = [{ ip: "192.0.2.9", gateway: "192.0.2.1" }]
  const request = { directory: "", hostname: "box", domainname: "example.org", hostNetwork: false, networks: places }
  const { files } = await containerFiles({ ...request, names: null })
  expect(new Map(files).get("hosts")).toContain("\n192.0.2.9\tbox.example.org box\n")
})
