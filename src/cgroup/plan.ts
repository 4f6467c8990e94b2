import type { LinuxDeviceCgroup, LinuxResources } from "../oci/resources.ts"

/** One value for a file of the container's cgroup; `file` is the bare name, whose prefix names the controller. */
export interface FileWrite {
  readonly file: string
  readonly value: string
  /** What asks for it, below `linux.resources`: `memory.limit`. */
  readonly field: string
  /** Files of other kernels for the same thing. */
  readonly others?: readonly { readonly file: string; readonly value: string; readonly notice?: string }[]
  /** `first`: the first file that exists is written; `all`: each that exists, and one must. */
  readonly use?: "first" | "all"
  /** Where no file exists: with null nothing is missing; a notice is for a value nobody asked for. Else it is an error. */
  readonly absent?: { readonly notice: string | null }
}

/** What the resources mean in files, in the order to write them. */
export interface ResourceWrites {
  readonly writes: readonly FileWrite[]
  /** Sentences for the user on what was left out, and why that is no error. */
  readonly notices: readonly string[]
}

/** One thing `create` does; paths are absolute. The whole vocabulary. */
export type CgroupStep =
  /** `shared`: a parent, which may be there already and is used by other containers too. */
  | { readonly kind: "mkdir"; readonly dir: string; readonly shared: boolean }
  /** `asked`: by the user or the bundle, rather than a default of toybox; `label` names the option or field. */
  | ({ readonly kind: "write"; readonly dir: string; readonly asked: boolean; readonly label: string } & FileWrite)
  /** Moves every process of cgroup `from` to its child `to`. */
  | { readonly kind: "evacuate"; readonly from: string; readonly to: string }
  /** Loads the device rules as an eBPF program and attaches it to `dir`; v2 only. */
  | {
      readonly kind: "devices"
      readonly dir: string
      readonly rules: readonly LinuxDeviceCgroup[]
      readonly required: boolean
    }

/**
 * Where a child goes. `into` is a directory for CLONE_INTO_CGROUP (v2); else the child, while it has one thread, writes `0`
 * to each of `files`. On v1 these are the `tasks` files: moving the calling thread alone takes no global lock, whereas
 * `cgroup.procs` first waits for a grace period of RCU (here 5 to 7 ms after a second of quiet, against 0.1 ms).
 */
export interface JoinTarget {
  readonly into: string | null
  readonly files: readonly string[]
}

/** All that outlives the run: plain data, for the state directory. */
export interface CgroupHandle {
  readonly version: 1 | 2
  /** From the root of the hierarchies: `/toybox.slice/<id>`. */
  readonly path: string
  /** v1: directory by controller. v2: one, under `unified`. */
  readonly dirs: Readonly<Record<string, string>>
  /** Directories above them that go when empty, innermost first. */
  readonly parents: readonly string[]
}

/** The exact list that `create` executes and `--explain` prints. */
export interface CgroupPlan {
  readonly handle: CgroupHandle
  readonly steps: readonly CgroupStep[]
  readonly join: JoinTarget
  readonly notices: readonly string[]
}

/** What a container wants of its cgroup. */
export interface CgroupRequest {
  /** Absolute, from the root of the hierarchies. */
  readonly path: string
  readonly resources: LinuxResources
  /** The option behind a field, for messages: `memory.limit` → `--mem`. Without one the field itself is named. */
  readonly options?: Readonly<Record<string, string>>
  /** Fields that toybox filled in by itself: where the kernel cannot do them, they are left out. */
  readonly defaults?: readonly string[]
  /** Make use of every controller there is, not only of those that toybox needs; for engines that read other files. */
  readonly allControllers?: boolean
  /** Count block I/O, too, where no limit of it asks for that already. */
  readonly countsIo?: boolean
  /** Device rules that cannot be enforced become a notice: for a user namespace, which the kernel guards by itself. */
  readonly devicesOptional?: boolean
}

/** How messages name a field: the option that set it, or its place in config.json. */
export function labelOf(request: CgroupRequest, field: string): string {
  return request.options?.[field] ?? `linux.resources.${field}`
}

/** Whether somebody asked for the field: a kernel that cannot do it is then an error. */
export function isAsked(request: CgroupRequest, field: string): boolean {
  return !(request.defaults?.includes(field) ?? false)
}

/** The controller that owns a file: `cpu` of `cpu.max`. */
export function controllerOf(file: string): string {
  return file.slice(0, Math.max(file.indexOf("."), 0))
}

/** The step as shell commands that do the same. */
export function shellForm(step: CgroupStep): string {
  switch (step.kind) {
    case "mkdir":
      return step.shared ? `mkdir -p ${step.dir}` : `mkdir ${step.dir}`
    case "write":
      return `echo ${/^[\w.:,+-]+$/.test(step.value) ? step.value : `"${step.value}"`} > ${step.dir}/${step.file}`
    case "evacuate":
      return `for pid in $(cat ${step.from}/cgroup.procs); do echo $pid > ${step.to}/cgroup.procs; done`
    case "devices":
      return `# eBPF program of ${step.rules.length} device rules: bpf(BPF_PROG_ATTACH, ${step.dir}, BPF_CGROUP_DEVICE)`
    default:
      return step satisfies never
  }
}
