/** What a network costs a run, beside podman's and docker's; and how much goes through it, beside the same made by hand. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { toyboxBinary } from "../helpers/binary.ts"
import { makeNamespace, type Namespace } from "../helpers/network.ts"
import { type Dockerd, startDockerd } from "./dockerd.ts"
import { attempt, type Contender, measure, median, type Timing } from "./measure.ts"
import { toyboxRun } from "./peers.ts"
import { table } from "./report.ts"
import type { Settle } from "./settle.ts"
import { benchCgroup, makeBenchRoot } from "./workspace.ts"

/** Milliseconds that it adds; a share of what an engine's adds; throughput to that by hand; the 500th container to the first. */
const TARGETS = { adds: 6, engine: 0.1, throughput: 0.95, many: 1.3 }
const MEGABYTES = 4000
const TRANSFERS = 9
/** More than of others: the difference of two times is measured. */
const OWN_ROUNDS = 100
const ENGINE_ROUNDS = 20
const MANY = 499

// From the network namespaces of both, because it is not the sender that is measured.
const SEND = `import socket, sys
s = socket.create_connection(("10.250.0.2", 5001)); part = bytes(1 << 20)
for _ in range(int(sys.argv[1])): s.sendall(part)
s.shutdown(socket.SHUT_WR); s.recv(1)`
const SINK = `import socket
l = socket.create_server(("", 5001)); part = bytearray(1 << 20)
print("ready", flush=True)
while True:
  s = l.accept()[0]
  while s.recv_into(part): pass
  s.close()`

/** Where it is not, podman has CNI's plugins make networks. */
const NETAVARK = "/usr/lib/podman/netavark"

const within = (host: Namespace, contender: Contender): Contender => ({
  ...contender,
  cmd: host.within(...contender.cmd),
})

function podman(workspace: string, root: string, network: string): Contender {
  const dir = join(workspace, "network-podman")
  mkdirSync(dir, { recursive: true })
  const store = ["--root", join(dir, "root"), "--runroot", join(dir, "run"), "--tmpdir", join(dir, "tmp")]
  const limits = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
    "--cgroup-parent",
    `/${benchCgroup(workspace)}`,
  ]
  const engine = ["podman", ...store, "--cgroup-manager", "cgroupfs", "--network-config-dir", join(dir, "networks")]
  const cmd = [...engine, "run", "--rm", "--network", network, ...limits, "--rootfs", `${root}:O`, "/bin/true"]
  const config = join(dir, "containers.conf")
  writeFileSync(config, existsSync(NETAVARK) ? '[network]\nnetwork_backend = "netavark"\n' : "")
  return { name: `podman ${network}`, cmd, env: { CONTAINERS_CONF: config }, settle: 250 }
}

/** A state directory whose `run`, as /run is, is in memory. */
function makeState(workspace: string): string {
  const state = join(workspace, "network-state")
  mkdirSync(join(state, "run"), { recursive: true, mode: 0o700 })
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", join(state, "run")])
  if (mounted.exitCode !== 0) throw new Error(`no tmpfs: ${mounted.stderr}`)
  return state
}

const timeOf = async (action: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await action()
  return performance.now() - start
}

/** Megabytes a second from a container, and from a namespace that is connected in the same way by ip and nft, by turns. */
async function throughput(state: string, root: string, host: Namespace): Promise<[number, number]> {
  const [outside, hand] = [await makeNamespace(), await makeNamespace()]
  const sh = (where: Namespace, script: string) => where.run(["sh", "-ec", script])
  try {
    await sh(
      host,
      `ip link add out type veth peer name out netns ${outside.pid}
      ip address add 10.250.0.1/24 dev out; ip link set out up
      ip link add hand type bridge; ip address add 10.251.0.1/24 dev hand; ip link set hand up
      ip link add handed type veth peer name eth0 netns ${hand.pid}; ip link set handed master hand up
      sysctl -qw net.ipv4.ip_forward=1
      nft add table ip byhand; nft 'add chain ip byhand post { type nat hook postrouting priority 100; }'
      nft add rule ip byhand post ip saddr 10.251.0.0/24 oifname out masquerade`,
    )
    await sh(outside, "ip address add 10.250.0.2/24 dev out; ip link set out up")
    await sh(hand, "ip address add 10.251.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.251.0.1")
    const sink = Bun.spawn(outside.within("python3", "-c", SINK), {
      stdin: "ignore",
      stderr: "ignore",
    })
    await sink.stdout.getReader().read()
    const env = { PATH: process.env.PATH ?? "", TOYBOX_ROOT: state }
    const toybox = (...words: string[]) => Bun.$`${host.within(toyboxBinary(), ...words)}`.env(env).quiet()
    await toybox("run", "-d", "--name", "sender", "--net", "bridge", root, "/bin/sleep", "10000")
    const times: [number[], number[]] = [[], []]
    const [{ State }] = JSON.parse(await toybox("inspect", "sender").text())
    const send = ["timeout", "60", "python3", "-c", SEND, String(MEGABYTES)]
    for (let round = -1; round < TRANSFERS; round++) {
      const own = await timeOf(() => Bun.$`nsenter --net --target ${State.Pid} ${send}`.quiet())
      const theirs = await timeOf(() => hand.run(send))
      if (round < 0) continue
      times[0].push(own)
      times[1].push(theirs)
    }
    sink.kill("SIGKILL")
    await toybox("rm", "--force", "sender")
    const [own, theirs] = times.map(
      (list) => MEGABYTES / ((list.sort((a, b) => a - b)[TRANSFERS >> 1] ?? Number.NaN) / 1000),
    )
    return [own ?? Number.NaN, theirs ?? Number.NaN]
  } finally {
    await outside.close()
    await hand.close()
  }
}

/** Each without a network and with one. */
function engines(workspace: string, root: string, host: Namespace, dockerd: Dockerd | string) {
  const pairOf = (make: (network: string) => Contender) => ["none", "bridge"].map(make)
  return [
    ...(Bun.which("podman") === null
      ? []
      : [{ name: "podman", pair: pairOf((name) => within(host, podman(workspace, root, name))) }]),
    ...(typeof dockerd === "string" ? [] : [{ name: "docker", pair: pairOf(dockerd.run) }]),
  ]
}

/** Prints the figures; true where a target was missed. */
export async function network(workspace: string, method: { rounds: number; settle: Settle }): Promise<boolean> {
  const root = makeBenchRoot(join(workspace, "network-root"))
  const state = makeState(workspace)
  const host = await makeNamespace()
  const lines: string[] = []
  let dockerd: Dockerd | string = ""
  let over = false
  const tell = (what: string, ratio: number, bound: number, isOver = ratio > bound) => {
    lines.push(`${what}: ${ratio.toFixed(2)}, target ${bound}: ${isOver ? "over" : "ok"}`)
    over ||= isOver
  }
  try {
    const own = ["none", "bridge"].map((name) =>
      within(host, { ...toyboxRun(root, state, `toybox ${name}`, ["--rm", "--quiet", "--net", name]) }),
    )
    // Makes the link, which stays.
    for (const contender of own) attempt(contender)
    const ownMethod = { ...method, rounds: Math.min(method.rounds * 2, OWN_ROUNDS) }
    const timings = await measure(own, ownMethod)
    const added = (pair: readonly Timing[]) => median(pair[1] as Timing) - median(pair[0] as Timing)
    const adds = added(timings)
    tell("a network adds, milliseconds", adds, TARGETS.adds)
    // Before another's rules are there, too, that both would pass.
    const [speed, byHand] = await throughput(state, root, host)
    lines.push(`from a container to the outside: ${Math.round(speed)} MB/s, by hand ${Math.round(byHand)} MB/s`)
    tell("throughput to that by hand", speed / byHand, TARGETS.throughput, speed / byHand < TARGETS.throughput)
    dockerd = await startDockerd(workspace, root, host)
    for (const { name, pair } of engines(workspace, root, host, dockerd)) {
      const refused = pair.map(attempt).find((said) => said !== undefined)
      if (refused !== undefined) {
        lines.push(`${name}: skipped: ${refused}`)
        continue
      }
      const theirs = await measure(pair, { ...method, rounds: Math.min(method.rounds, ENGINE_ROUNDS) })
      timings.push(...theirs)
      lines.push(`${name}'s adds ${added(theirs).toFixed(1)} ms`)
      tell(`toybox's / ${name}'s`, adds / added(theirs), TARGETS.engine)
    }
    if (typeof dockerd === "string") lines.push(`docker: skipped: ${dockerd}`)
    else await dockerd.stop()

    const env = { PATH: process.env.PATH ?? "", TOYBOX_ROOT: state }
    const toybox = (...words: string[]) => Bun.$`${host.within(toyboxBinary(), ...words)}`.env(env).quiet()
    for (let i = 0; i < MANY; i += 2)
      await Promise.all(
        [0, 1].map(() => toybox("run", "-d", "--quiet", "--net", "bridge", root, "/bin/sleep", "10000")),
      )
    const many = added(await measure(own, ownMethod))
    lines.push(`beside ${MANY} others a network adds ${many.toFixed(2)} ms`)
    tell("the 500th container's / the first's", many / adds, TARGETS.many)
    await toybox("rm", "--all", "--force")
    console.log(
      `\nnetwork: /bin/true, start to exit, ${ownMethod.rounds} interleaved rounds\n${table(timings, "toybox none", {})}\n${lines.join("\n")}`,
    )
    return over
  } finally {
    if (typeof dockerd === "object") await dockerd.stop()
    await host.close()
  }
}
