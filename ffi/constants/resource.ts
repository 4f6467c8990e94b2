// sys/resource.h

/** The resource limits, each at its number: getrlimit(2). */
export const RLIMIT_NAMES: readonly string[] =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
    .split(" ")
    .map((name) => `RLIMIT_${name}`)
