/** Steps in words, as an error says what was being done. */
import type { Step } from "./steps.ts"

/** What was being done, for an error message. */
export function sentence(step: Step): string {
  switch (step.kind) {
    case "mkdir":
      return `make the directory ${step.path}`
    case "create-file":
      return `write ${step.path}`
    case "overlay":
      return `mount the overlay of ${step.lower}`
    case "bind-root":
      return `take ${step.path} as the root`
    case "clone":
      return step.namespaces.length === 0
        ? "make a process"
        : `make a process in new namespaces (${step.namespaces.join(", ")})`
    case "join-cgroup":
      return `join the cgroup by ${step.path}`
    case "unshare":
      return `make the namespaces (${step.namespaces.join(", ")})`
    case "setns":
      return `join the ${step.namespace} namespace ${step.path}`
    case "attach-root":
      return `attach the root at ${step.path}`
    case "mount":
      return `mount ${step.type} on ${step.target}`
    case "bind":
      return step.within === undefined ? `mount ${step.source} on ${step.target}` : `make the device ${step.target}`
    case "remount":
      return `change the mount on ${step.target}`
    case "device":
      return `make the device ${step.path}`
    case "symlink":
      return `make the link ${step.path}`
    case "console":
      return "make the terminal"
    case "mask":
      return `hide ${step.path}`
    case "readonly-path":
      return `make ${step.path} read-only`
    case "readonly-mount":
      return `make the mount ${step.path} read-only`
    case "sysctl":
      return `set ${step.key}=${step.value}`
    case "rlimit":
      return `set the limit ${step.type} to ${step.soft}:${step.hard}`
    case "chdir":
      return `enter the working directory ${step.path}`
    case "user":
      return `become user ${step.uid}, group ${step.gid}`
    case "exec":
      return `run ${step.args[0]}`
    case "close-other-fds":
      return "close the descriptors that are not the container's"
    case "parent-death-signal":
      return "tie the container's life to toybox's"
    case "propagation":
    case "root-propagation":
      return "cut the mounts off from the host's"
    case "given-dev":
      return "use the mount on /dev"
    case "touch":
    case "mkdir-in-root":
      return `make ${step.path}`
    case "device-nodes":
      return "take the devices that were made"
    case "mask-source":
      return "make what hides paths"
    case "hostname":
    case "domainname":
      return `set the ${step.kind} to ${step.name}`
    case "loopback":
      return "bring the loopback up"
    case "readonly-root":
      return "make the root read-only"
    case "pivot-root":
    case "move-root":
      return "leave the host's root"
    case "oom-score":
      return `set oom_score_adj to ${step.value}`
    case "null-device":
      return step.own ? "open the container's /dev/null" : "make a null device"
    case "stdio":
      return "pass standard input and output on"
    case "seal":
      return "enter the sealed second stage"
    case "session":
      return "begin a session"
    case "default-signals":
      return "reset the signals"
    case "bounding-set":
    case "capabilities":
      return "set the capabilities"
    case "session-keyring":
      return "make a session keyring"
    case "unblock-signals":
      return "let signals through"
    case "seccomp":
      return "filter the system calls"
    case "no-new-privileges":
      return "set no_new_privs"
    case "umask":
      return "set the umask"
    case "await-go":
      return `wait for the ${step.what}`
    case "tell":
      return "tell that there is a network namespace"
    case "sync":
      return "wait for the word to go on"
    case "check-command":
      return `look for ${step.candidates.at(-1)}`
    case "enter-namespaces":
      return "join the container's namespaces"
    case "enter-pid-namespace":
      return "join the container's pid namespace"
    case "new-terminal":
      return "open a terminal in the container"
    case "own-terminal":
      return `give the terminal to user ${step.uid}`
    case "enter-root":
      return "make the container's root the root"
    case "take-source":
      return `open ${step.source}`
    case "become-root":
      return "become root of the user namespace"
    case "scheduler":
      return `set the scheduler to ${step.scheduler.policy} (process.scheduler)`
    case "io-priority":
      return `set the I/O priority to ${step.class} (process.ioPriority)`
    case "personality":
      return `set the personality to ${step.domain} (linux.personality)`
    case "label":
      return `set the label ${step.value} (${step.field})`
    case "cpu-affinity":
      return "set the processors (process.execCPUAffinity)"
    case "init":
      return "start the init"
    default:
      return step satisfies never
  }
}
