/** Network namespaces for tests: each belongs to a process that sleeps, and goes with it. */

export interface Namespace {
  readonly pid: number
  /** Runs a command in it; its standard output. Throws what it says where it fails. */
  run(command: readonly string[], input?: string): Promise<string>
  /** A command line, as one runs it. */
  within(...command: string[]): string[]
  close(): Promise<void>
}

const DEADLINE = 30_000

async function inode(pid: number | "self"): Promise<string> {
  return (await Bun.$`readlink /proc/${pid}/ns/net`.nothrow().quiet()).stdout.toString()
}

/** Makes one, with its loopback up. */
export async function makeNamespace(): Promise<Namespace> {
  const sleeper = Bun.spawn(["unshare", "--net", "sleep", "1000"], { stdin: "ignore", stdout: "ignore" })
  const { pid } = sleeper
  const within = (...command: string[]) => ["nsenter", "--net", "--target", String(pid), ...command]
  const namespace: Namespace = {
    pid,
    within,
    async run(command, input = "") {
      const child = Bun.spawn(within(...command), { stdin: new Blob([input]), stderr: "pipe" })
      const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
      if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`)
      return stdout
    },
    async close() {
      sleeper.kill("SIGKILL")
      await sleeper.exited
    },
  }
  const own = await inode("self")
  const deadline = Date.now() + DEADLINE
  for (let theirs = ""; theirs === "" || theirs === own; theirs = await inode(pid)) {
    if (Date.now() > deadline) throw new Error("no network namespace")
    await Bun.sleep(2)
  }
  await namespace.run(["ip", "link", "set", "lo", "up"])
  return namespace
}
