/** What scripts written for docker do by habit: values that may be empty, names with a slash, templates from the web. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { ownLeftovers, ownRun } from "../helpers/own.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../helpers/scratch.ts"
import { toybox } from "../helpers/toybox.ts"

cleanUpAfterAll()
setDefaultTimeout(60_000)

const isRoot = process.getuid?.() === 0

async function succeed(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await toybox(words)
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr}`)
  return stdout.trimEnd()
}

describe.skipIf(!isRoot)("docker's habits", () => {
  afterEach(async () => {
    await toybox(["rm", "--all", "--force", "--volumes"])
    await toybox(["volume", "prune", "--force", "--filter", "all=1"])
    expect(await ownLeftovers()).toEqual([])
  })

  test("a value that is empty, or 0, is as if it were not given", async () => {
    const empty = ["name", "user", "workdir", "hostname", "domainname", "restart", "cidfile", "stop-signal", "platform"]
    const zero = ["memory", "memory-swap", "cpus", "cpu-shares", "pids-limit", "blkio-weight", "shm-size"]
    const options = [...empty.flatMap((name) => [`--${name}`, ""]), ...zero.map((name) => `--${name}=0`)]
    expect(await succeed(...ownRun("--rm", ...options, "base", "sh", "-c", "id -u; pwd; hostname | wc -c"))).toBe(
      "0\n/\n13",
    )
    await succeed(...ownRun("-d", "--name", "there", "base", "sleep", "1000"))
    expect(await succeed("exec", "-u", "", "-w", "", "there", "pwd")).toBe("/")
    expect(await toybox(["exec", "there", ""])).toMatchObject({
      exitCode: 125,
      stderr: "toybox: the command is empty\n",
    })
  })

  test("a name as inspect shows it, with a slash", async () => {
    await succeed(...ownRun("-d", "--name", "slashed", "base", "sleep", "1000"))
    const name = await succeed("inspect", "-f", "{{.Name}}", "slashed")
    expect(name).toBe("/slashed")
    expect(await succeed("inspect", "-f", "{{.State.Status}}", name)).toBe("running")
    expect(await succeed("exec", name, "echo", "here")).toBe("here")
    expect(await succeed("rm", "-f", name)).toBe(name)
    expect(await toybox(["exec", name, "true"])).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("no such container: /slashed"),
    })
  })

  test("rm -f and rmi -f of what is not there are no errors, rm and rmi are", async () => {
    await succeed("rm", "-f", "nobody")
    await succeed("rmi", "-f", "nothing")
    expect((await toybox(["rm", "nobody"])).exitCode).toBe(1)
    expect((await toybox(["rmi", "nothing"])).exitCode).toBe(1)
  })

  test("inspect: mounts of all kinds have a name in a template, json is an array, ports are empty structs", async () => {
    const bound = temporaryDirectory()
    const given = [
      "-v",
      `${bound}:/b:ro`,
      "-v",
      "data:/v",
      "--mount",
      "type=volume,src=more,dst=/m",
      "-v",
      "/anonymous",
    ]
    await succeed(...ownRun("-d", "--name", "seen", ...given, "--expose", "80", "base", "sleep", "1000"))
    const mounts = await succeed("inspect", "-f", "{{range .Mounts}}{{.Destination}}={{.Name}},{{end}}", "seen")
    expect(mounts.split(",").filter((one) => !one.startsWith("/anonymous="))).toEqual(["/b=", "/v=data", "/m=more", ""])
    expect(await succeed("inspect", "-f", "{{json .HostConfig.Binds}}", "seen")).toBe(
      JSON.stringify([`${bound}:/b:ro`, "data:/v"]),
    )
    expect(await succeed("inspect", "-f", "{{.Config.ExposedPorts}}", "seen")).toBe("map[80/tcp:{}]")
    expect(JSON.parse(await succeed("inspect", "--format", "json", "seen"))).toHaveLength(1)
    expect(JSON.parse(await succeed("volume", "inspect", "--format", "json", "data"))).toHaveLength(1)
    expect(JSON.parse(await succeed("network", "inspect", "--format", "json", "host"))).toHaveLength(1)
    const named = (filter: string) => succeed("ps", "--format", "{{.Names}}", "--filter", filter)
    for (const volume of ["data", "/v", "/b", bound]) expect(await named(`volume=${volume}`)).toBe("seen")
    for (const volume of ["/etc/hosts", "b", "/"]) expect(await named(`volume=${volume}`)).toBe("")
  })

  test("names of volumes and networks are filtered by expressions", async () => {
    await succeed("volume", "create", "data1")
    await succeed("volume", "create", "mydata")
    expect(await succeed("volume", "ls", "-q", "-f", "name=^data")).toBe("data1")
    expect(await succeed("network", "ls", "--format", "{{.Name}}", "-f", "name=^host$")).toBe("host")
    expect(await succeed("network", "ls", "--format", "{{.Name}}", "-f", "name=^os")).toBe("")
    expect(await toybox(["volume", "ls", "-f", "name=("])).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("name=( is no regular expression"),
    })
  })

  test("a network has one gateway, unless IPv6 was asked for", async () => {
    const gateways = (name: string) =>
      succeed("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Gateway}} {{end}}", name)
    await succeed("network", "create", "plain")
    expect(await gateways("plain")).toMatch(/^\d+\.\d+\.\d+\.1 ?$/)
    await succeed("network", "create", "--ipv6", "both")
    expect(await gateways("both")).toMatch(/^\d+\.\d+\.\d+\.1 fd[0-9a-f:]+::1 ?$/)
    await succeed("network", "rm", "plain", "both")
  })

  test("inspect finds networks, too", async () => {
    const id = await succeed("network", "create", "looked-at")
    for (const word of ["looked-at", id, id.slice(0, 12)])
      expect(await succeed("inspect", "-f", "{{.Name}} {{.Driver}}", word)).toBe("looked-at bridge")
    expect(await succeed("inspect", "--type", "network", "-f", "{{.Name}}", "host")).toBe("host")
    expect((await toybox(["inspect", "--type", "network", "nowhere"])).exitCode).toBe(1)
    expect(await toybox(["inspect", "nowhere"])).toMatchObject({ exitCode: 1, stdout: "[]\n" })
    await succeed("network", "rm", "looked-at")
  })

  test("image prune takes dangling, volume prune all", async () => {
    await succeed("volume", "create", "named")
    await succeed("volume", "prune", "-f")
    expect(await succeed("volume", "prune", "-f", "--filter", "all=true")).toContain("named")
    for (const value of ["true", "false"])
      expect(await succeed("image", "prune", "-f", "--filter", `dangling=${value}`)).toContain("Total reclaimed space")
    expect(await toybox(["image", "prune", "-f", "--filter", "dangling=x"])).toMatchObject({ exitCode: 125 })
  })

  test("a file of variables that is no text is told", async () => {
    const file = join(temporaryDirectory(), "env")
    writeFileSync(file, Buffer.from("A=\xff\n", "latin1"))
    expect(await toybox(ownRun("--rm", "--env-file", file, "base", "env"))).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining(`--env-file: cannot read ${file}: it is not UTF-8`),
    })
  })

  test("the caller's passwd over the image's: who is meant, and where home is", async () => {
    const passwd = join(temporaryDirectory(), "passwd")
    writeFileSync(passwd, "root:x:0:0::/rooty:\nme:x:1234:99::/home/me:\n")
    await succeed(
      ...ownRun("-d", "--name", "mine", "-v", `${passwd}:/etc/passwd:ro`, "-u", "1234", "base", "sleep", "1000"),
    )
    expect(await succeed("exec", "mine", "sh", "-c", "echo $HOME")).toBe("/home/me")
    expect(await succeed("exec", "-u", "me", "mine", "sh", "-c", "echo $(id -u) $HOME")).toBe("1234 /home/me")
    expect(await succeed("exec", "-u", "0", "mine", "sh", "-c", "echo $HOME")).toBe("/rooty")
  })

  test("cp into a volume of a container that was never started keeps what the image has there", async () => {
    await succeed("create", ...ownRun("--name", "made", "-v", "/etc", "base", "ls", "/etc").slice(1))
    const file = join(temporaryDirectory(), "added")
    writeFileSync(file, "x")
    await succeed("cp", file, "made:/etc/added")
    await succeed("cp", "made:/etc/group", temporaryDirectory())
    const listed = (await succeed("start", "--attach", "made")).split("\n")
    expect(listed).toContain("added")
    expect(listed).toContain("group")
  })

  test("a host name with a domain is known by its first part, too", async () => {
    const { stdout } = await toybox(ownRun("--rm", "-h", "box.example.org", "base", "tail", "-n", "1", "/etc/hosts"))
    expect(stdout.trimEnd().split("\t")[1]).toBe("box.example.org box")
  })
})
