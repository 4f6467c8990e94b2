/** What of spec.process and spec.linux few containers have: steps of stage two. */
import type { Process, Spec } from "../oci/runtime.ts"
import type { Step } from "./steps.ts"

/** What needs rights that the command may not have. */
export function schedulingSteps({ scheduler, ioPriority }: Process): Step[] {
  return [
    ...(scheduler ? [{ kind: "scheduler", scheduler } satisfies Step] : []),
    ...(ioPriority
      ? [{ kind: "io-priority", class: ioPriority.class, priority: ioPriority.priority ?? 0 } satisfies Step]
      : []),
  ]
}

export const personalitySteps = ({ linux: { personality } }: Spec): Step[] =>
  personality ? [{ kind: "personality", domain: personality.domain }] : []

/** The labels that the security modules give the command at its exec: proc_pid_attr(5). */
export function labelSteps({ apparmorProfile, selinuxLabel }: Process): Step[] {
  return [
    ...(selinuxLabel
      ? [{ kind: "label", field: "process.selinuxLabel", file: "exec", value: selinuxLabel } satisfies Step]
      : []),
    // Without AppArmor nothing is confined; with it, that would be said so, too.
    ...(apparmorProfile && apparmorProfile !== "unconfined"
      ? [
          {
            kind: "label",
            field: "process.apparmorProfile",
            file: "apparmor/exec",
            value: `exec ${apparmorProfile}`,
          } satisfies Step,
        ]
      : []),
  ]
}

/** The numbers of a list of processors, as cpuset(7) writes it: "0-2,5" is 0, 1, 2, 5. */
export function processorNumbers(list: string): number[] {
  return list
    .split(",")
    .map((range) => range.trim())
    .filter((range) => range !== "")
    .flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number)
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)
    })
}

/** Where a process that joins a container runs: before it enters the cgroup ("initial"), and from then on ("final"). */
export function affinitySteps({ execCPUAffinity }: Process, moment: "initial" | "final"): Step[] {
  const cpus = processorNumbers(execCPUAffinity?.[moment] ?? "")
  return cpus.length === 0 ? [] : [{ kind: "cpu-affinity", cpus }]
}
