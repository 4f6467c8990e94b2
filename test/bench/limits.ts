/** The limits of every container of the bench; toybox gets them as `--cpu 50% --mem 500M --pids 1000`. */
export const LIMITS = { memory: 500 * 1024 * 1024, cpuQuota: 50_000, cpuPeriod: 100_000, pids: 1000 } as const

/** `LIMITS` in toybox's words. */
export const TOYBOX_LIMITS = ["--cpu", "50%", "--mem", "500M", "--pids", "1000"] as const
