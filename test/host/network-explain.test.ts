/** What --explain shows of networks is what is done. */
import { expect, test } from "bun:test"
import { makeMachine } from "../helpers/machine.ts"
import { cleanUpAfterAll } from "../helpers/scratch.ts"

cleanUpAfterAll()

test("--explain on a machine where nothing is yet has it all", async () => {
  const bare = await makeMachine(1400)
  try {
    const text = await bare.host.run(
      bare
        .toybox("run", "--explain", "--rm", "-p", "8080:80", "-p", "[::1]:8081:81", "--cap-add=NET_RAW", "base", "true")
        .map((word) => word.replace(/^TOYBOX_ROOT=.*/, "TOYBOX_ROOT=/nonexistent/toybox")),
    )
    expect(text).toContain("mtu 1400")
    expect(text).toContain("echo 1 >/proc/sys/net/ipv4/ip_forward")
    expect(text).toMatch(/echo 1 >\/proc\/sys\/net\/ipv4\/conf\/tb-\w+\/route_localnet/)
    expect(text).toContain("nft -f - <<'EOF'\ntable inet toybox {")
    expect(text).toContain("nft add element inet toybox ports4")
    expect(text).toContain("nft add element inet toybox forwarded '{ tcp . 8080 }'")
    expect(text).toContain("# what comes to them from ::1 a process of toybox's serves, when somebody comes")
    expect(text).toContain("#   [::1]:8081/tcp, and carries it on to ")
    // What is shown is what nft takes, `icmpv6 taddr` since 1.0.8.
    const isOld = (line: string) => line.includes("nd-neighbor-advert")
    const script = text
      .split("\n")
      .filter((line) => !isOld(line))
      .join("\n")
    const lines = [...script.matchAll(/^nft (?:-f - <<'EOF'\n[\s\S]*?\nEOF|add element .*)$/gm)].map(([line]) => line)
    expect(lines.filter((line) => line.includes("EOF"))).toHaveLength(3)
    for (const line of lines) await bare.sh(`${line}\n`)
    const bridges = async () =>
      (await bare.sh("nft list table bridge toybox-mld; nft list table bridge toybox"))
        .split("\n")
        .filter((line) => !isOld(line) && !line.includes("veth"))
    const shown = await bridges()
    await bare.sh("nft flush ruleset")
    await bare.run("run", "-d", "--cap-add=NET_RAW", "base", "sleep", "1000")
    expect(shown).toEqual(await bridges())
    expect(shown.length).toBeGreaterThan(40)
  } finally {
    await bare.close()
  }
}, 60_000)
