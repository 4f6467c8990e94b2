/** C structures that system calls take, as call arguments. */
import { type Arg, type Struct, struct } from "./calls.ts"

// A structure that several calls of a list have is placed once: the kernel only reads these.
function once(made: Map<number, Struct>, key: number, make: () => Struct): Struct {
  let found = made.get(key)
  if (found === undefined) {
    found = make()
    made.set(key, found)
  }
  return found
}

const hows = new Map<number, Struct>()
const mountAttrs = new Map<number, Struct>()

/** struct open_how of openat2(2). */
export const OPEN_HOW_SIZE = 24
export const openHow = (flags: number, resolve: number, mode = 0): Struct =>
  once(hows, (resolve * 0x1000 + mode) * 0x100000000 + flags, () => struct([8, flags], [8, mode], [8, resolve]))

/** struct mount_attr of mount_setattr(2). */
export const MOUNT_ATTR_SIZE = 32
export const mountAttr = (set: number, clear: number, propagation = 0): Struct =>
  // Attributes have 22 bits; a propagation is one of the bits 17 to 20.
  once(mountAttrs, ((propagation / 0x20000) * 0x400000 + clear) * 0x400000 + set, () =>
    struct([8, set], [8, clear], [8, propagation], [8, 0]),
  )

/** struct clone_args of clone3(2). */
export const CLONE_ARGS_SIZE = 88
export const cloneArgs = (flags: number, exitSignal: number, cgroupFd = 0): Struct =>
  struct([8, flags], [8, 0], [8, 0], [8, 0], [8, exitSignal], [8, 0], [8, 0], [8, 0], [8, 0], [8, 0], [8, cgroupFd])

/** struct rlimit64 of prlimit64(2). */
export const rlimit = (soft: number | bigint, hard: number | bigint): Struct => struct([8, soft], [8, hard])

/** struct winsize of ioctl_tty(2). */
export const winsize = (height: number, width: number): Struct => struct([2, height], [2, width], [2, 0], [2, 0])

/** struct ifreq of netdevice(7), with the flags member. */
export function ifreqFlags(name: string, flags: number): Uint8Array {
  const bytes = new Uint8Array(40)
  for (let i = 0; i < name.length && i < 15; i++) bytes[i] = name.charCodeAt(i)
  new DataView(bytes.buffer).setInt16(16, flags, true)
  return bytes
}

/** struct msghdr with one SCM_RIGHTS descriptor: unix(7), cmsg(3). `control` is 24 bytes whose fd is at offset 16. */
export const CMSG_FD_OFFSET = 16
export const CMSG_FD_SIZE = 24
export const messageHeader = (data: Arg, dataSize: number, control: Arg): Struct =>
  struct([8, 0], [8, 0], [8, struct([8, data], [8, dataSize])], [8, 1], [8, control], [8, CMSG_FD_SIZE], [8, 0])

/** The kernel's struct sigaction with the default handler: rt_sigaction(2). */
export const defaultSigaction = (): Struct => struct([8, 0], [8, 0], [8, 0], [8, 0])

/** struct __user_cap_header_struct and two __user_cap_data_struct: capset(2). */
export const capHeader = (version: number): Struct => struct([4, version], [4, 0])
export const capData = (effective: bigint, permitted: bigint, inheritable: bigint): Struct => {
  const low = (set: bigint) => Number(set & 0xffffffffn)
  const high = (set: bigint) => Number(set >> 32n)
  return struct(
    [4, low(effective)],
    [4, low(permitted)],
    [4, low(inheritable)],
    [4, high(effective)],
    [4, high(permitted)],
    [4, high(inheritable)],
  )
}
