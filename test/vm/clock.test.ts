/** A machine whose clock is set by a year while containers run: nothing that takes time takes a year, or none. */
import { describe, expect, test } from "bun:test"
import { missing, session } from "./session.ts"

describe.skipIf(missing !== undefined)("a clock that is set", () => {
  const { lines, section } = session({
    timeoutSeconds: 200,
    script: `
      year=31536000
      health() { toybox inspect -f '{{.State.Health.Status}}' $1; }
      seconds() { cut -d. -f1 /proc/uptime; }
      # soon COMMAND: until it succeeds, by the clock that nobody sets
      soon() { end=$(($(seconds) + 25)); until "$@" >/dev/null 2>&1; do [ $(seconds) -lt $end ] || return 1; usleep 200000; done; }
      has() { toybox logs $1 | grep -q "$2"; }
      is() { [ "$(health $1)" = $2 ]; }
      check="--net none --health-cmd false --health-interval 500ms --health-retries 2"
      section back
      toybox run -d --name ill $check --health-start-period 3s base sleep 1000 >/dev/null
      toybox run -d --net none --name loop --restart always base sh -c '
        echo >> /runs; echo run $(wc -l < /runs); [ $(wc -l < /runs) -lt 4 ] || sleep 15; exit 1' >/dev/null
      toybox run -d --net none --name deaf base sh -c 'trap "" TERM; echo ready; while :; do sleep 1; done' >/dev/null
      soon has loop "run 4"
      begun=$(seconds)
      toybox stop -t 3 deaf >/dev/null 2>&1 & sleep 1
      date -s @$(($(date +%s) - year)) >/dev/null
      wait $!; taken=$(($(seconds) - begun)); [ $taken -lt 9 ] && echo stopped || echo stopped after $taken
      soon is ill unhealthy; health ill
      toybox logs loop | head -4 | xargs
      toybox logs --since 1h loop | head -1 | cut -c1-3
      soon has loop "run 5"
      grep -ho '"backOff":[0-9]*' /run/toybox/running/*
      toybox ps --format '{{.Names}} {{.Status}}' | sort
      toybox rm -f ill loop deaf | sort | xargs
      section forth
      toybox run -d --name young $check --health-start-period 1000s base sleep 1000 >/dev/null
      sleep 1
      date -s @$(($(date +%s) + 2 * year)) >/dev/null
      sleep 4; health young
      toybox events --since 1m --until 0s | grep -c ' container die '
      toybox run --rm --net none base echo runs
      toybox rm -f young
      section left; left`,
  })

  test("back", () => {
    expect(lines("back")).toEqual([
      "stopped",
      "unhealthy",
      "run 1 run 2 run 3 run 4",
      "run",
      '"backOff":100',
      expect.stringMatching(/^ill Up /),
      expect.stringMatching(/^loop (Up|Restarting) /),
      "deaf ill loop",
    ])
  })

  test("forth", () => {
    expect(lines("forth")).toEqual(["starting", "0", "runs", "young"])
    expect(section("left")).toBe("")
  })
})
