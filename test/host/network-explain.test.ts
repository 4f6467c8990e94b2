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
    const lines = [...text.matchAll(/^nft (?:-f - <<'EOF'\n[\s\S]*?\nEOF|add element .*)$/gm)].map(([line]) => line)
    expect(lines.filter((line) => line.includes("EOF"))).toHaveLength(3)
    for (const line of lines) await bare.sh(`${line}\n`)
    const bridges = async () =>
      (await bare.sh("nft list table bridge toybox-mld; nft list table bridge toybox"))
        .split("\n")
        .filter((line) => !line.includes("veth"))
    const shown = await bridges()
    await bare.sh("nft flush ruleset")
    await bare.run("run", "-d", "--cap-add=NET_RAW", "base", "sleep", "1000")
    expect(shown).toEqual(await bridges())
    expect(shown.length).toBeGreaterThan(40)
    // What nft shows it also reads: else a machine whose rules were saved meanwhile would start without any.
    const saved = await bare.sh("nft list ruleset")
    expect(saved).toContain("typeof iifname . ether saddr . @th,64,128")
    await bare.host.run(["nft", "-f", "-"], `flush ruleset\n${saved}`)
    expect(await bare.sh("nft list ruleset")).toBe(saved)
  } finally {
    await bare.close()
  }
}, 60_000)
