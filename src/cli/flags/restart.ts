/** --restart: docker's restart policies. */
import type { RestartPolicy } from "../../container/restart-policy.ts"
import { UsageError } from "../../errors.ts"
import type { ParsedArgv } from "../argv.ts"

/** Reads a policy; undefined for "no". Throws UsageError. */
export function parseRestartPolicy(option: string, text: string): RestartPolicy | undefined {
  const [, name = "", , most] = /^(no|on-failure|always|unless-stopped)(:(\d{1,6}))?$/.exec(text) ?? []
  if (name === "" || (most !== undefined && name !== "on-failure"))
    throw new UsageError(`${option}: "${text}" is no restart policy`, {
      hint: "no, on-failure, on-failure:N, always or unless-stopped",
    })
  if (name === "no") return undefined
  if (name !== "on-failure") return { name: name as "always" | "unless-stopped" }
  // Of docker, too, 0 means any number.
  return { name, most: Number(most ?? 0) || null }
}

/** The policy of `run` or `create`. Throws UsageError. */
export function restartPolicy({ strings, booleans }: ParsedArgv): { restart?: RestartPolicy } {
  const policy = parseRestartPolicy("--restart", strings.get("restart") ?? "no")
  if (policy === undefined) return {}
  if (!booleans.get("detach"))
    throw new UsageError("--restart needs --detach: in the foreground the container ends with toybox")
  const removal = ["rm", "rmi"].find((name) => booleans.get(name))
  if (removal) throw new UsageError(`--restart does not go with --${removal}, which removes what has ended`)
  return { restart: policy }
}
