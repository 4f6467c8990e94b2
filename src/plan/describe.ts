/** Steps as the shell commands that do the same: the form of --explain. */
import { CAPABILITY_NAMES } from "../../ffi/constants/capability.ts"
import * as mount from "../../ffi/constants/mount.ts"
import { MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE } from "../../ffi/constants/mount.ts"
import type { MountAttributes, Step } from "./steps.ts"

/** Quotes a word for sh(1) where it needs it. */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

const UNSHARE: Record<string, string> = {
  mount: "--mount",
  uts: "--uts",
  ipc: "--ipc",
  pid: "--pid",
  network: "--net",
  cgroup: "--cgroup",
  user: "--user",
  time: "--time",
}

const ATTRIBUTE_WORDS: readonly (readonly [number, string])[] = [
  [mount.MOUNT_ATTR_RDONLY, "ro"],
  [mount.MOUNT_ATTR_NOSUID, "nosuid"],
  [mount.MOUNT_ATTR_NODEV, "nodev"],
  [mount.MOUNT_ATTR_NOEXEC, "noexec"],
  [mount.MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"],
  [mount.MOUNT_ATTR_NODIRATIME, "nodiratime"],
]

function attributeWords({ set, recursiveSet }: MountAttributes): string[] {
  const words = ATTRIBUTE_WORDS.filter(([bit]) => (set | recursiveSet) & bit).map(([, word]) => word)
  const atime = set & mount.MOUNT_ATTR__ATIME
  if (atime === mount.MOUNT_ATTR_STRICTATIME) words.push("strictatime")
  if (atime === mount.MOUNT_ATTR_NOATIME) words.push("noatime")
  return words
}

const PROPAGATION_WORDS: readonly (readonly [number, string])[] = [
  [MS_PRIVATE, "private"],
  [MS_SLAVE, "slave"],
  [MS_SHARED, "shared"],
  [MS_UNBINDABLE, "unbindable"],
]
const propagationWord = (flags: number) =>
  `${flags & MS_REC ? "r" : ""}${PROPAGATION_WORDS.find(([bit]) => flags & bit)?.[1] ?? "private"}`

const caps = (numbers: readonly number[]) =>
  numbers.length === 0 ? "none" : numbers.map((n) => CAPABILITY_NAMES[n]?.slice(4).toLowerCase() ?? n).join(",")

const OUT_OF_CHROOT = "nsenter --mount=/proc/self/ns/mnt …  # out of the chroot that toybox is in"

/** Where the root is attached; what the shell lines call the new root. */
interface Context {
  root: string
}

function bindLines(step: Extract<Step, { kind: "bind" }>, to: string): string[] {
  const lines = [
    `${step.directory ? "mkdir -p" : "touch"} ${to}`,
    `mount --${step.recursive ? "rbind" : "bind"} ${quote(step.source)} ${to}`,
  ]
  const words = attributeWords(step.attributes)
  if (words.length > 0) lines.push(`mount -o remount,bind,${words.join(",")} ${to}`)
  if (step.attributes.propagation)
    lines.push(`mount --make-${propagationWord(step.attributes.propagation | MS_REC)} ${to}`)
  return lines
}

/** The step as shell commands, in the form of a container built by hand. */
export function shellLines(step: Step, { root }: Context): string[] {
  const inRoot = (path: string) => quote(`${root}${path}`)
  switch (step.kind) {
    case "mkdir":
      return [
        `mkdir -p -m ${step.mode.toString(8)} ${quote(step.path)}`,
        ...(step.owner ? [`chown ${step.owner.uid}:${step.owner.gid} ${quote(step.path)}`] : []),
      ]
    case "create-file":
      if (step.copyOf !== undefined) return [`cp -L ${quote(step.copyOf)} ${quote(step.path)}`]
      return [`printf %s ${quote(String(step.content))} > ${quote(step.path)}`]
    case "overlay": {
      const options = [
        `lowerdir=${[step.lower, ...(step.below ?? [])].join(":")}`,
        `upperdir=${step.upper}`,
        `workdir=${step.work}`,
        ...step.options,
      ]
      return [`mount -t overlay overlay -o ${quote(options.join(","))} ${quote(root)}`]
    }
    case "bind-root":
      return [`mount --rbind ${quote(step.path)} ${quote(root)}`]
    case "clone": {
      const joins = step.helper?.joins.map(({ namespace, path }) => `${UNSHARE[namespace]}=${quote(path)} `) ?? []
      const join = joins.length === 0 ? "" : `nsenter ${joins.join("")}`
      const flags = ["--fork", "--kill-child", ...step.namespaces.map((type) => UNSHARE[type])]
      return [`${join}unshare ${flags.join(" ")} sh  # from here on inside`]
    }
    case "close-other-fds":
      return ["# every descriptor above 2 is closed"]
    case "parent-death-signal":
      return [`# killed with toybox: prctl(PR_SET_PDEATHSIG, ${step.signal})`]
    case "join-cgroup":
      return [`echo $$ > ${quote(step.path)}`]
    case "unshare":
      return [`unshare ${step.namespaces.map((type) => UNSHARE[type]).join(" ")} …`]
    case "setns":
      return [`nsenter ${UNSHARE[step.namespace]}=${quote(step.path)} …`]
    case "propagation":
      return [
        ...(step.chrooted ? [OUT_OF_CHROOT] : []),
        `mount --make-${propagationWord(step.flags)} /`,
        ...(step.chrooted ? ["chroot …  # and back"] : []),
      ]
    case "root-propagation":
      return [`mount --make-${propagationWord(step.flags)} ${quote(step.path)}`]
    case "attach-root":
      return [`# the root appears at ${quote(step.path)}`]
    case "mount": {
      const options = [
        ...attributeWords(step.attributes),
        ...step.data.map(([key, value]) => (value === null ? key : `${key}=${value}`)),
      ]
      return [
        `mkdir -p ${inRoot(step.target)}`,
        `mount -t ${step.type} ${step.source}${options.length ? ` -o ${options.join(",")}` : ""} ${inRoot(step.target)}`,
      ]
    }
    case "enter-root":
      return [`chroot ${inRoot("/")}`]
    case "take-source":
      return []
    case "bind":
      return bindLines(step, inRoot(step.target))
    case "remount": {
      const options = [
        ...attributeWords(step.attributes),
        ...step.data.map(([key, value]) => (value === null ? key : `${key}=${value}`)),
      ]
      return [`mount -o ${["remount", ...options].join(",")} ${inRoot(step.target)}`]
    }
    case "device":
      return [
        `mknod -m ${step.mode.toString(8)} ${inRoot(step.path)} ${step.type}${step.type === "p" ? "" : ` ${step.major} ${step.minor}`}`,
      ]
    case "device-nodes":
      return [`mount --move … ${quote(step.path)}  # device nodes`]
    case "given-dev":
      return ["# /dev is the one that was asked for"]
    case "symlink":
      return [`ln -s ${quote(step.target)} ${inRoot(step.path)}`]
    case "touch":
      return [`touch ${inRoot(step.path)}`]
    case "console":
      return [
        `mount --bind ${inRoot("/dev/pts/0")} ${inRoot("/dev/console")}  # a terminal of ${step.height} rows, ${step.width} columns`,
      ]
    case "mask-source":
      return [
        `mount -t tmpfs -o size=4k mask ${quote(step.path)} && mkdir ${quote(`${step.path}/directory`)} && touch ${quote(`${step.path}/file`)}`,
      ]
    case "mask":
      return [
        `mount --bind …/${step.directory === undefined ? "directory-or-file" : step.directory ? "directory" : "file"} ${inRoot(step.path)}  # hidden`,
      ]
    case "readonly-path":
      return [
        `mount --rbind ${inRoot(step.path)} ${inRoot(step.path)} && mount -o remount,bind,ro ${inRoot(step.path)}`,
      ]
    case "readonly-mount":
      return [`mount -o remount,ro ${inRoot(step.path)}`]
    case "sysctl":
      return [`echo ${quote(step.value)} > ${inRoot(`/proc/sys/${step.key.replaceAll(".", "/")}`)}`]
    case "hostname":
      return [`hostname ${quote(step.name)}`]
    case "domainname":
      return [`domainname ${quote(step.name)}`]
    case "loopback":
      return ["ip link set lo up"]
    case "mkdir-in-root":
      return [`mkdir -p ${inRoot(step.path)}`]
    case "readonly-root":
      return [`mount -o remount,bind,ro ${quote(root)}`]
    case "pivot-root":
      return [...(step.chrooted ? [OUT_OF_CHROOT] : []), `cd ${quote(root)}`, "pivot_root . .", "umount -l .", "cd /"]
    case "move-root":
      return [
        `cd ${quote(root)}`,
        "mount --move . /",
        ...step.detach.map((path) => `umount -l ${quote(path)}`),
        "chroot .",
        "cd /",
      ]
    case "rlimit":
      return [
        `prlimit --pid $$ --${step.type.slice(7).toLowerCase()}=${Number.isFinite(step.soft) ? step.soft : "unlimited"}:${Number.isFinite(step.hard) ? step.hard : "unlimited"}`,
      ]
    case "oom-score":
      return [`echo ${step.value} > /proc/self/oom_score_adj`]
    case "null-device":
    case "stdio":
    case "await-go":
    case "sync":
    case "tell":
    case "check-command":
    case "enter-pid-namespace":
    case "new-terminal":
      return []
    case "enter-namespaces":
      return [`nsenter --target ${step.pidFd} ${step.namespaces.map((type) => UNSHARE[type]).join(" ")} …`]
    case "own-terminal":
      return [`chown ${step.uid} "$(tty)"`]
    case "seal":
      return ["# the sealed second stage takes over: fexecve of a memfd"]
    case "session":
      return [`setsid${step.terminal ? " --ctty" : ""} …`]
    case "default-signals":
      return ["# default signal dispositions"]
    case "chdir":
      return [`cd ${quote(step.path)}`]
    case "become-root":
      return ["setpriv --reuid=0 --regid=0 --clear-groups …  # of the user namespace"]
    case "scheduler":
      return [`chrt --${step.scheduler.policy.slice(6).toLowerCase()} --pid ${step.scheduler.priority ?? 0} $$`]
    case "io-priority":
      return [`ionice --class ${step.class.slice(13).toLowerCase()} --classdata ${step.priority} --pid $$`]
    case "personality":
      return [`setarch ${step.domain.toLowerCase()} …`]
    case "label":
      return [`echo ${quote(step.value)} > /proc/self/attr/${step.file}`]
    case "cpu-affinity":
      return [`taskset --pid --cpu-list ${step.cpus.join(",")} $$`]
    case "bounding-set":
      return step.drop.length === 0
        ? []
        : [`capsh --drop=${step.drop.map((n) => CAPABILITY_NAMES[n]?.toLowerCase() ?? n).join(",")} …`]
    case "user": {
      const groups = step.groups.length > 0 ? `--groups=${step.groups.join(",")}` : "--clear-groups"
      return [`setpriv --reuid=${step.uid} --regid=${step.gid} ${step.keepsGroups ? "--keep-groups" : groups} …`]
    }
    case "capabilities":
      return [
        `# capabilities: effective ${caps(step.effective)}; inheritable ${caps(step.inheritable)}; ambient ${caps(step.ambient)}`,
      ]
    case "session-keyring":
      return ["keyctl new_session"]
    case "unblock-signals":
      return []
    case "seccomp":
      return [
        `# system calls are filtered from here on, by a program of ${step.program.length / 8} instructions`,
        ...(step.listener ? ["# its notify descriptor goes to the supervisor's socket"] : []),
      ]
    case "no-new-privileges":
      return ["setpriv --no-new-privs …"]
    case "umask":
      return [`umask ${step.mask.toString(8).padStart(3, "0")}`]
    case "init":
      return ["# an init stays as PID 1, passes signals on and reaps; the command is its child"]
    case "exec": {
      const command = step.candidates.length === 1 ? (step.candidates[0] ?? "") : (step.args[0] ?? "")
      return [`exec env -i ${[...step.env, command, ...step.args.slice(1)].map(quote).join(" ")}`]
    }
    default:
      return step satisfies never
  }
}
