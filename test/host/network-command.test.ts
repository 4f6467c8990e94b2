/** toybox network, by docker's command lines. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Machine, makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

let machine: Machine
const run = (...words: string[]) => machine.run("network", ...words)
const told = (...words: string[]) => machine.told("network", ...words)

beforeAll(async () => {
  machine = await makeMachine()
}, 60_000)

afterAll(async () => machine?.close())
// After that: it removes the state of containers that may still run.
cleanUpAfterAll()

test("ls has docker's columns, templates and filters; what nobody has made is there before the first container", async () => {
  const rows = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => line.split(/ {2,}/))
  const [first, ...others] = rows(await run("ls"))
  expect(first).toEqual(["NETWORK ID", "NAME", "DRIVER", "SCOPE"])
  expect(others.map(([, ...more]) => more)).toEqual([
    ["bridge", "bridge", "local"],
    ["host", "host", "local"],
    ["none", "null", "local"],
  ])
  const id = (await run("create", "--label", "tier=db", "--label", "x", "backend")).trim()
  const names = (...words: string[]) => run("list", "--format", "{{.Name}}", ...words)
  for (const [filter, found] of [
    ["type=custom", "backend\n"],
    ["type=builtin", "bridge\nhost\nnone\n"],
    ["name=back", "backend\n"],
    [`id=${id.slice(0, 12)}`, "backend\n"],
    ["driver=null", "none\n"],
    ["scope=local", "backend\nbridge\nhost\nnone\n"],
    ["scope=swarm", ""],
    ["label=tier=db", "backend\n"],
    ["label=tier=web", ""],
    ["dangling=true", "backend\n"],
  ] as const)
    expect({ filter, names: await names("-f", filter) }).toEqual({ filter, names: found })
  expect(await names("-f", "name=back", "-f", "name=host")).toBe("backend\nhost\n")
  expect(
    await run(
      "ls",
      "-f",
      "type=custom",
      "--format",
      '{{.ID}} {{.Driver}} {{.IPv6}} {{.Internal}} {{.Label "tier"}} {{.Labels}}',
    ),
  ).toBe(`${id.slice(0, 12)} bridge true false db tier=db,x=\n`)
  expect(JSON.parse(await run("ls", "-f", "type=custom", "--format", "json"))).toMatchObject({
    Name: "backend",
    Scope: "local",
  })
  expect((await run("ls", "-q", "--no-trunc", "-f", "type=custom")).trim()).toBe(id)
  await run("remove", "backend")
}, 60_000)

test("inspect has docker's fields, and takes a template", async () => {
  const id = (await run("create", "--subnet=10.70.0.0/24", "-o", "com.docker.network.driver.mtu=1400", "shown")).trim()
  expect(await run("inspect", "-f", "{{.Name}} {{.Driver}} {{(index .IPAM.Config 0).Subnet}}", "shown")).toBe(
    "shown bridge 10.70.0.0/24\n",
  )
  expect(JSON.parse(await run("inspect", id.slice(0, 8)))[0]).toMatchObject({
    Id: id,
    EnableIPv4: true,
    Attachable: false,
  })
  expect(await run("inspect", "--format", "{{.Driver}}", "bridge", "host", "none")).toBe("bridge\nhost\nnull\n")
  await machine.run("run", "-d", "--name=in", "--net=shown", "base", "sleep", "1000")
  expect(await run("inspect", "-f", "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}", "shown")).toBe(
    "in 10.70.0.2/24\n",
  )
  await machine.run("rm", "-f", "in")
  await run("rm", "shown")
}, 60_000)

test("create takes docker's options: names of links, addresses that are kept, where ports are published", async () => {
  await run(
    ...["create", "--driver=bridge", "--ipam-driver=default", "--scope=local", "--attachable", "--ipv4"],
    ...["--subnet=10.71.0.0/24", "--aux-address=router=10.71.0.2", "--aux-address", "10.71.0.3"],
    ...[
      "-o",
      "com.docker.network.bridge.name=br-own",
      "-o",
      "com.docker.network.bridge.host_binding_ipv4=127.0.0.1",
      "own",
    ],
  )
  await machine.run("run", "-d", "--name=in", "--net=own", "-p", "8140:80", "base", "sleep", "1000")
  expect(await machine.sh("ip -br address show dev br-own")).toContain("10.71.0.1/24")
  expect(await machine.run("exec", "in", "ip", "-o", "-4", "address", "show", "eth0")).toContain("10.71.0.4/24")
  expect(await machine.run("port", "in")).toBe("80/tcp -> 127.0.0.1:8140\n")
  expect((await machine.told("run", "--rm", "--net=own", "--ip=10.71.0.3", "base", "true")).stderr).toContain(
    "is no free address",
  )
  for (const [words, message] of [
    [["-o", "com.docker.network.bridge.name=br-own", "other"], "the link br-own is the network own's"],
    [["-o", "com.docker.network.bridge.name=out", "other"], "the link out is there already"],
    [["-o", "com.docker.network.bridge.name=much-too-long-a-name", "other"], "is not understood"],
    [["-d", "overlay", "other"], "there is only bridge"],
    [["--scope=swarm", "other"], "there is only local"],
    [["--aux-address=router", "other"], "--aux-address"],
  ] as const)
    expect({ words, ...(await told("create", ...words)) }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(message),
    })
  await machine.run("rm", "-f", "in")
  await run("rm", "own")
}, 60_000)

test("exit codes are docker's, and so is what prune takes", async () => {
  for (const words of [
    ["rm", "nowhere"],
    ["rm", "host"],
    ["inspect", "nowhere"],
    ["create"],
    ["create", "host"],
    ["connect", "nowhere", "nobody"],
    ["ls", "-f", "x=y"],
  ])
    expect({ words, code: (await told(...words)).code }).toEqual({ words, code: 1 })
  expect(await run("rm", "-f", "nowhere")).toBe("nowhere\n")
  await run("create", "--label", "keep", "kept")
  await run("create", "gone")
  expect(await run("prune", "-f", "--filter", "until=1h")).toBe("")
  expect(await run("prune", "-f", "--filter", "label!=keep")).toBe("gone\n")
  expect(await run("prune")).toBe("kept\n")
}, 60_000)

test("each network has its own addresses and names; inspect tells of them, also when the container does not run", async () => {
  await run("create", "--subnet=10.72.0.0/24", "blue")
  await run("create", "--subnet=10.73.0.0/24", "red")
  const places = [
    "--net=name=blue,ip=10.72.0.9,alias=db",
    "--network",
    "name=red,ip=10.73.0.8,mac-address=02:00:00:00:00:73",
  ]
  const ports = ["-p", "8150:80", "-p", "127.0.0.1::53/udp", "--expose=99"]
  const id = (await machine.run("run", "-d", "--name=both", ...places, ...ports, "base", "sleep", "1000")).trim()
  const seen = async () => JSON.parse(await machine.run("inspect", "both"))[0]
  const up = await seen()
  expect(up.NetworkSettings.Networks).toMatchObject({
    blue: { IPAddress: "10.72.0.9", Aliases: ["db"], DNSNames: ["both", "db", id.slice(0, 12)] },
    red: { IPAddress: "10.73.0.8", MacAddress: "02:00:00:00:00:73", Aliases: [], DNSNames: ["both", id.slice(0, 12)] },
  })
  expect(up.NetworkSettings.Networks.blue.EndpointID).toMatch(/^[0-9a-f]{64}$/)
  expect(await machine.sh(`readlink ${up.NetworkSettings.SandboxKey}`)).toMatch(/^net:/)
  const made = {
    HostConfig: {
      NetworkMode: "blue",
      PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8150" }], "53/udp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
    },
    Config: { ExposedPorts: { "80/tcp": {}, "53/udp": {}, "99/tcp": {} } },
  }
  expect(up).toMatchObject(made)
  await machine.run("stop", "-t", "0", "both")
  const down = await seen()
  expect(down).toMatchObject(made)
  expect(down.NetworkSettings.Networks).toMatchObject({
    blue: { IPAddress: "", Aliases: ["db"] },
    red: { IPAddress: "" },
  })
  expect(await machine.run("port", "both")).toBe("")
  expect((await machine.told("port", "both", "80")).code).toBe(1)
  await machine.run("rm", "both")
  await run("rm", "blue", "red")
  const mode = (...words: string[]) =>
    machine
      .run("create", ...words, "base", "true")
      .then((one) => machine.run("inspect", "-f", "{{.HostConfig.NetworkMode}}", one.trim()))
  expect([await mode(), await mode("--net=host"), await mode("--net=none")]).toEqual(["bridge\n", "host\n", "none\n"])
}, 60_000)

test("a table of our name that is somebody else's stops no doctor, and no removal of what could not be made beside it", async () => {
  await machine.sh("nft add table inet toybox")
  const { code, stderr } = await machine.told("run", "--rm", "base", "true")
  expect({ code, stderr }).toMatchObject({ code: 125, stderr: expect.stringContaining("has not made") })
  expect((await machine.told("doctor")).stdout).toMatch(
    /^LIMITED +networks +missing: rules of networks .*has not made/m,
  )
  expect(await machine.told("info")).toMatchObject({ code: 0 })
  await run("prune", "-f")
  expect(await run("ls", "-q", "-f", "name=bridge", "--no-trunc")).not.toBe("")
  expect((await machine.json("link show")).map(({ ifname }) => ifname).filter((name) => /^tb-/.test(name))).toEqual([])
  await machine.sh("nft delete table inet toybox")
})
