/** What a container makes of its own network: its settings, and who shares it. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

let machine: Machine
const run = (...words: string[]) => machine.run(...words)

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())

test("settings of links are made when the links are there, every time", async () => {
  const settings = {
    "net.ipv4.conf.eth0.rp_filter": "2",
    "net.ipv6.conf.eth0.accept_ra": "0",
    "net.ipv4.ip_forward": "1",
  }
  const words = Object.entries(settings).flatMap(([key, value]) => ["--sysctl", `${key}=${value}`])
  const show = Object.keys(settings).map((key) => `/proc/sys/${key.replaceAll(".", "/")}`)
  for (let i = 0; i < 20; i++) expect(await run("run", "--rm", ...words, "base", "cat", ...show)).toBe("2\n0\n1\n")
  await run("run", "-d", "--name=kept", ...words, "base", "sleep", "1000")
  expect(await run("exec", "kept", "cat", ...show)).toBe("2\n0\n1\n")
  expect(
    (await machine.told("run", "--rm", "--sysctl=net.ipv4.conf.eth7.rp_filter=2", "base", "true")).stderr,
  ).toContain("net.ipv4.conf.eth7.rp_filter")
  await run("rm", "-f", "kept")
}, 60_000)

test("a container that has IPv6 switched off has no address of it, in no file and no listing", async () => {
  await run("network", "create", "second")
  const off = ["--sysctl", "net.ipv6.conf.all.disable_ipv6=1"]
  for (let i = 0; i < 10; i++)
    expect(await run("run", "--rm", ...off, "base", "sh", "-c", "ip -6 address; cat /etc/hosts")).not.toMatch(
      /\bfd[0-9a-f]{2}:/,
    )
  await run("run", "-d", "--name=four", ...off, "base", "sleep", "1000")
  await run("network", "connect", "second", "four")
  const { Networks } = JSON.parse(await run("inspect", "four"))[0].NetworkSettings
  expect(Object.values(Networks)).toMatchObject([{ GlobalIPv6Address: "" }, { GlobalIPv6Address: "" }])
  await run("rm", "-f", "four")
  await run("network", "rm", "second")
}, 60_000)
