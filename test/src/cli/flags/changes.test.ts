import { describe, expect, test } from "bun:test"
import { applyChanges } from "../../../../src/cli/flags/changes.ts"
import { EMPTY_CONTAINER_CONFIG } from "../../../../src/image/config.ts"

const BASE = {
  ...EMPTY_CONTAINER_CONFIG,
  Env: ["PATH=/bin", "A=1"],
  Entrypoint: ["/entry"],
  Cmd: ["old"],
  WorkingDir: "/srv",
  ExposedPorts: ["80/tcp"],
  Labels: { x: "y" },
}
const change = (...texts: string[]) => applyChanges(BASE, texts)

// Not JavaScript's.
const braced = (text: string) => `$\{${text}}`

describe("--change", () => {
  test.each<[string, object]>([
    ['CMD ["/bin/app", "-v"]', { Cmd: ["/bin/app", "-v"], Entrypoint: ["/entry"] }],
    ["cmd echo  hello $A", { Cmd: ["/bin/sh", "-c", "echo  hello $A"] }],
    ["CMD []", { Cmd: [] }],
    ['ENTRYPOINT ["/other"]', { Entrypoint: ["/other"], Cmd: [] }],
    ["ENTRYPOINT exec app", { Entrypoint: ["/bin/sh", "-c", "exec app"], Cmd: [] }],
    ["ENV A=2 B='b c' C=d\\ e", { Env: ["PATH=/bin", "A=2", "B=b c", "C=d e"] }],
    ["ENV B some words", { Env: ["PATH=/bin", "A=1", "B=some words"] }],
    ['LABEL a.b="c d" x=z', { Labels: { x: "z", "a.b": "c d" } }],
    ["EXPOSE 80 53/udp 8000-8002", { ExposedPorts: ["80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"] }],
    ["ENV PATH=/opt/bin:$PATH A=2 B=$A", { Env: ["PATH=/opt/bin:/bin", "A=2", "B=1"] }],
    [`ENV B ${braced("A")}0 '$A' "$A" \\$A`, { Env: ["PATH=/bin", "A=1", "B=10 $A 1 $A"] }],
    [
      `ENV B=${["N:-x", "A:-x", "N:+y", "A:+y", "N:-$A"].map(braced).join("")}$N C=$ D=5$`,
      { Env: ["PATH=/bin", "A=1", "B=x1y1", "C=$", "D=5$"] },
    ],
    [`ENV B=${braced(`N:-${braced("A")}0`)}1`, { Env: ["PATH=/bin", "A=1", "B=101"] }],
    ['ENV B="a\\"b\\n"', { Env: ["PATH=/bin", "A=1", 'B=a"b\\n'] }],
    ['LABEL "a b"="c d" e= f=$A', { Labels: { x: "y", "a b": "c d", e: "", f: "1" } }],
    ["LABEL a b=c", { Labels: { x: "y", a: "b=c" } }],
    ["EXPOSE 8$A/udp", { ExposedPorts: ["80/tcp", "81/udp"] }],
    [`USER $A:${braced("A")}0`, { User: "1:10" }],
    ["VOLUME /v$A", { Volumes: ["/v1"] }],
    ["WORKDIR $A", { WorkingDir: "/srv/1" }],
    ["CMD=/bin/app", { Cmd: ["/bin/sh", "-c", "/bin/app"] }],
    ["USER www:www", { User: "www:www" }],
    ['VOLUME ["/data", "/log"]', { Volumes: ["/data", "/log"] }],
    ["VOLUME /data /log", { Volumes: ["/data", "/log"] }],
    ["WORKDIR /a/../b", { WorkingDir: "/b" }],
    ["WORKDIR deeper", { WorkingDir: "/srv/deeper" }],
    ["ONBUILD RUN ls", { OnBuild: ["RUN ls"] }],
    ["STOPSIGNAL SIGUSR1", { StopSignal: "SIGUSR1" }],
    ["HEALTHCHECK NONE", { Healthcheck: { Test: ["NONE"] } }],
    [
      'HEALTHCHECK --interval=1m30s --retries=2 CMD ["a", "b"]',
      { Healthcheck: { Test: ["CMD", "a", "b"], Interval: 90e9, Retries: 2 } },
    ],
    ["HEALTHCHECK CMD a || b", { Healthcheck: { Test: ["CMD-SHELL", "a || b"] } }],
  ])("%s", (text, expected) => {
    expect(change(text)).toMatchObject(expected)
  })

  test("several, one after the other", () => {
    expect(change("WORKDIR /x", "WORKDIR y", 'ENTRYPOINT ["e"]', 'CMD ["c"]')).toMatchObject({
      WorkingDir: "/x/y",
      Entrypoint: ["e"],
      Cmd: ["c"],
    })
    expect(change()).toEqual(BASE)
  })

  test.each([
    "",
    "RUN ls",
    "USER",
    "USER a b",
    "ENV A",
    "ENV =1",
    "LABEL 'a=b",
    "EXPOSE many",
    "EXPOSE 80/icmp",
    "STOPSIGNAL SIGNOTHING",
    "HEALTHCHECK sometimes",
    "HEALTHCHECK --interval=soon CMD x",
    "HEALTHCHECK --interval=1us CMD x",
    "toString x",
  ])("refuses %j", (text) => {
    expect(() => change(text)).toThrow(`--change: "${text}`)
  })
})
