import { describe, expect, test } from "bun:test"
import { withRareLimits } from "../../../../src/cli/flags/rare-limits.ts"
import { resourceOptions } from "../../../../src/cli/flags/resources.ts"
import { type Kept, parseRestart, type Service, serviceWords } from "../../../../src/cli/service/command.ts"
import { openrcScript } from "../../../../src/cli/service/openrc.ts"
import { shellWord, systemdWord } from "../../../../src/cli/service/quote.ts"
import { systemdUnit } from "../../../../src/cli/service/systemd.ts"
import { USUAL_PLACES } from "../../../../src/network/default.ts"
import { REQUEST } from "../../spec/fixtures.ts"
import { run } from "../parse.ts"

const kept = (more: Partial<Kept>): Kept => ({
  words: [],
  requested: { resources: {}, options: {}, defaults: [] },
  networks: USUAL_PLACES,
  process: REQUEST,
  ...more,
})

const service = (more: Partial<Service> = {}): Service => ({
  name: "web",
  executable: "/usr/local/bin/toybox",
  global: [],
  run: ["--mem=50M", "alpine", "sh", "-c", "echo $HOME 100%"],
  directory: "/srv/100%",
  stopSeconds: 10,
  stopSignal: 15,
  restart: { when: "on-failure", most: null },
  ...more,
})

describe("the words of a service", () => {
  test("are those of the run, without what the service sees to", () => {
    const typed =
      "-d --name web --rm -it --mem 50M -e A=1 --env=B --cidfile x --pids=5 --tty=false --read-only=false base sh -d"
    const process = { ...REQUEST, env: ["A=1", "B=of the caller"] }
    expect(serviceWords(kept({ words: typed.split(" "), process }))).toEqual([
      ..."--interactive --tty=false --read-only=false --env=A=1".split(" "),
      "--env=B=of the caller",
      ..."base sh -d".split(" "),
    ])
    expect(serviceWords(kept({ words: ["--", "-odd", "x"] }))).toEqual(["--", "-odd", "x"])
    expect(serviceWords(kept({ words: [] }))).toEqual([])
  })

  test("leave out what is of one run only", () => {
    const own = "--rmi -a stdout --sig-proxy=false --replace --quiet"
    const lasting = "--umask=27 --timeout=5 --no-hosts --tz=local --oom-kill-disable --annotation=a=b"
    expect(serviceWords(kept({ words: `${own} ${lasting} base`.split(" ") })).toSorted()).toEqual(
      [...lasting.split(" "), "base"].toSorted(),
    )
  })

  test("have the variables that it has of its caller", () => {
    const process = { ...REQUEST, env: ["HTTP_PROXY=http://p", "A=1"] }
    expect(serviceWords(kept({ words: ["--http-proxy", "-e", "A=1", "base"], process }))).toEqual([
      "--env=HTTP_PROXY=http://p",
      "--env=A=1",
      "base",
    ])
    expect(serviceWords(kept({ words: ["--env-host", "base"], process }))).toEqual([
      "--env=HTTP_PROXY=http://p",
      "--env=A=1",
      "base",
    ])
  })

  test("have the limits that it has now, and the network that nobody has named", () => {
    const words = "--mem 1g --cpus=2 --pids=7 --net=none base".split(" ")
    const limits = { cpu: "12.5%", cpuset: "0", mem: "64M", "memory-swap": "96M", pids: "9", "cpu-shares": "512" }
    const requested = resourceOptions(run(...Object.entries(limits).map(([name, value]) => `--${name}=${value}`)), 1)
    expect(serviceWords(kept({ words, requested })).join(" ")).toBe(
      "--cpu=12.5% --cpu-shares=512 --cpuset=0 --mem=67108864 --memory-swap=100663296 --pids=9 --net=none base",
    )
    const rare = "--cpu-period=50000 --cpu-quota=12500 --cpu-rt-runtime=1000 --memory-swappiness=0".split(" ")
    const micro = withRareLimits(run(...rare), resourceOptions(run(), 1), 1)
    expect(serviceWords(kept({ words, requested: micro }))).toEqual([...rare, "--net=none", "base"])
    const lifted = { cpu: { quota: -1, period: 100_000 }, memory: { limit: -1, swap: -1 }, pids: { limit: 4096 } }
    const none = { resources: lifted, options: { "memory.swap": "--mem" }, defaults: [] }
    expect(serviceWords(kept({ words, requested: none }))).toEqual(["--net=none", "base"])
    expect(serviceWords(kept({ words: ["base"], networks: [] }))).toEqual(["--net=none", "base"])
    const places = [{ network: "mine", ip: null, ip6: null, mac: null, aliases: [] }]
    expect(serviceWords(kept({ words: ["base"], networks: places }))).toEqual(["--net=mine", "base"])
    const host = { ...REQUEST, namespaces: { network: { mode: "host" as const } } }
    expect(serviceWords(kept({ words: ["base"], networks: [], process: host }))).toEqual(["--net=host", "base"])
  })

  test("restart policies are docker's", () => {
    expect(parseRestart("--x", "on-failure:3")).toEqual({ when: "on-failure", most: 3 })
    expect(parseRestart("--x", "unless-stopped")).toEqual({ when: "always", most: null })
    for (const text of ["", "sometimes", "always:3", "on-failure:", "on-failure:x", "no:1"])
      expect(() => parseRestart("--x", text)).toThrow("is no restart policy")
  })
})

test("words come through a shell as they are", () => {
  const words = [
    "",
    " ",
    "a b",
    "'",
    "''\"",
    "$HOME",
    "`id`",
    "a\nb\tc",
    "\\",
    "*",
    "~",
    ";",
    "!x",
    "é",
    "-n",
    "#",
    "%s",
  ]
  const { stdout } = Bun.spawnSync(["sh", "-c", `printf '%s\\0' ${words.map(shellWord).join(" ")}`])
  expect(stdout.toString().split("\0").slice(0, -1)).toEqual(words)
})

test("words of a unit: what systemd would replace is doubled, and all else quoted", () => {
  expect(["plain-1", "/a:b", "--x=y"].map(systemdWord)).toEqual(["plain-1", "/a:b", "--x=y"])
  expect(["", "a b", "100%", "$A", ";", 'a"b\\', "\n\t\x01"].map(systemdWord)).toEqual([
    '""',
    '"a b"',
    "100%%",
    "$$A",
    '";"',
    '"a\\"b\\\\"',
    '"\\n\\t\\x01"',
  ])
})

test("a unit", () => {
  const unit = systemdUnit(service({ restart: { when: "on-failure", most: 3 }, global: ["--root=/x"], stopSignal: 2 }))
  expect(unit).toBe(`# Made by: toybox generate systemd web
[Unit]
Description=Container web (toybox)
Wants=network-online.target
After=network-online.target local-fs.target
StartLimitBurst=4
StartLimitIntervalSec=3600

[Service]
Type=exec
WorkingDirectory=-/srv/100%%
ExecStartPre=/usr/local/bin/toybox rm --root=/x --force --if-exists web
ExecStart=/usr/local/bin/toybox run --root=/x --rm --name=web --mem=50M alpine sh -c "echo $$HOME 100%%"
ExecStop=/usr/local/bin/toybox stop --root=/x --time=10 web
TimeoutStopSec=30
Restart=on-failure
RestartSec=1
SuccessExitStatus=130
KillMode=mixed

[Install]
WantedBy=multi-user.target
`)
})

test("one with a terminal, or input, is made first, and can be attached to", () => {
  const unit = systemdUnit(service({ run: ["--interactive", "--tty", "base"], stopSeconds: -1 }))
  expect(unit).toContain("\nExecStartPre=/usr/local/bin/toybox create --rm --name=web --interactive --tty base\n")
  expect(unit).toContain("\nExecStart=/usr/local/bin/toybox start --attach web\n")
  expect(unit).toContain("\nTimeoutStopSec=infinity\n")
  expect(systemdUnit(service({ run: ["--tty=false", "base"] }))).toContain(
    "/toybox run --rm --name=web --tty=false base",
  )
})

test("an OpenRC script is one that a shell reads", () => {
  const script = openrcScript(service({ directory: "/it's here" }))
  expect(script).toContain("run --detach --name=web --mem=50M alpine sh -c 'echo $HOME 100%'")
  expect(script).toContain("cd '/it'\\''s here'")
  expect(Bun.spawnSync(["sh", "-n"], { stdin: Buffer.from(script) })).toMatchObject({ exitCode: 0 })
})
