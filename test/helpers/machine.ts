/** A network namespace that plays the machine, beside one that plays the outside; a toybox of the machine. */
import { toyboxBinary } from "./binary.ts"
import { makeNamespace, type Namespace } from "./network.ts"
import { stateRoot } from "./toybox.ts"

const TIMEOUT = ["timeout", "-k", "5", "60"]

export interface Machine {
  /** 172.17.5.1 and fd00:99::1 on the link `out`. */
  readonly host: Namespace
  /** 172.17.5.2 and fd00:99::2. */
  readonly outside: Namespace
  /** The command line of toybox there. */
  toybox(...words: string[]): string[]
  /** Runs it; its standard output. Throws what it says where it fails. */
  run(...words: string[]): Promise<string>
  /** Runs it with its standard error, too; never throws. */
  told(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }>
  /** A shell script there. */
  sh(script: string): Promise<string>
  /** What ip(8) tells there. */
  // biome-ignore lint/suspicious/noExplicitAny: of many shapes
  json(command: string): Promise<any[]>
  close(): Promise<void>
}

const script = (where: Namespace, text: string) => where.run(["sh", "-ec", text])

/** Makes one; `mtu` is that of the link between the two. */
export async function makeMachine(mtu = 1500): Promise<Machine> {
  const [host, outside] = [await makeNamespace(), await makeNamespace()]
  await script(
    host,
    `ip link add out mtu ${mtu} type veth peer name out mtu ${mtu} netns ${outside.pid}
     ip address add 172.17.5.1/24 dev out; ip address add fd00:99::1/64 dev out nodad; ip link set out up
     ip route add default via 172.17.5.2
     echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding`,
  )
  await script(
    outside,
    "ip address add 172.17.5.2/24 dev out; ip address add fd00:99::2/64 dev out nodad; ip link set out up",
  )
  const toybox = (...words: string[]) => [
    ...TIMEOUT,
    ...["env", `TOYBOX_ROOT=${stateRoot()}`, "TOYBOX_NETWORK=", toyboxBinary(), ...words],
  ]
  const run = (...words: string[]) => host.run(toybox(...words))
  return {
    host,
    outside,
    toybox,
    run,
    async told(...words) {
      const child = Bun.spawn(host.within(...toybox(...words)), { stdin: "ignore", stderr: "pipe" })
      const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
      return { code, stdout, stderr }
    },
    sh: (text) => script(host, text),
    json: async (command) => JSON.parse(await script(host, `ip -j ${command}`)),
    async close() {
      await run("rm", "--force", "--all")
      await host.close()
      await outside.close()
    },
  }
}
