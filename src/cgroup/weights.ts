/**
 * Conversions between the weights of cgroup v1, which the OCI runtime specification uses, and those of v2.
 * The CPU map is the one runc 1.3.2 and crun 1.23 changed to: a parabola through the three fixed points
 * (2, 1), (1024, 100) and (262144, 10000) in logarithmic scale, so that the defaults meet.
 */

function exponent(shares: number): number {
  const l = Math.log2(shares)
  return (l * l + 125 * l) / 612 - 7 / 34
}

/** `cpu.shares` (2..262144; outside is clamped) to `cpu.weight` (1..10000): 1024 is 100. */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1
  if (shares >= 262_144) return 10_000
  return Math.ceil(10 ** exponent(shares))
}

/**
 * `cpu.weight` (1..10000) to the greatest `cpu.shares` that `sharesToWeight` turns into the same weight: every weight has
 * one, so `--cpu-weight` can travel as `cpu.shares` without loss.
 */
export function weightToShares(weight: number): number {
  let low = 2
  let high = 262_144
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (sharesToWeight(middle) <= weight) low = middle
    else high = middle - 1
  }
  return low
}

/** `blkio.weight` (10..1000) to `io.weight` (1..10000): linear, as runc and crun do it. */
export function blkioToIoWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990)
}

/** `io.weight` (1..10000) to `io.bfq.weight` (1..1000), both with the default 100: systemd's piecewise map. */
export function ioToBfqWeight(weight: number): number {
  return weight <= 100 ? weight : 100 + Math.floor(((weight - 100) * 900) / 9900)
}
