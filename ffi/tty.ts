/** Terminals: ioctl_tty(2), termios(3). */
import { call, callResult, scratch } from "./call.ts"
import { TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ } from "./constants/ioctl.ts"
import { MSG_CMSG_CLOEXEC, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET } from "./constants/socket.ts"
import { CMSG_FD_OFFSET, CMSG_FD_SIZE, messageHeader, winsize } from "./structs.ts"

// The kernel's struct termios: four flag words, the line discipline, 19 control characters.
const TERMIOS_SIZE = 36

export interface WindowSize {
  height: number
  width: number
}

/** Whether a descriptor is a terminal. */
export const isTerminal = (fd: number): boolean => callResult("ioctl", fd, TCGETS, scratch.address) === 0

/** The terminal's settings, to be given back later; null where there is no terminal. */
export function terminalSettings(fd: number): Uint8Array | null {
  if (callResult("ioctl", fd, TCGETS, scratch.address) < 0) return null
  return scratch.bytes.slice(0, TERMIOS_SIZE)
}

export function setTerminalSettings(fd: number, settings: Uint8Array): void {
  callResult("ioctl", fd, TCSETS, settings)
}

/** The settings of raw mode: cfmakeraw(3). */
export function rawSettings(settings: Uint8Array): Uint8Array {
  const raw = settings.slice()
  const view = new DataView(raw.buffer)
  const clear = (offset: number, bits: number) => view.setUint32(offset, view.getUint32(offset, true) & ~bits, true)
  clear(0, 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000) // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  clear(4, 0o1) // OPOST
  clear(8, 0o60 | 0o400) // CSIZE PARENB
  view.setUint32(8, view.getUint32(8, true) | 0o60, true) // CS8
  clear(12, 0o1 | 0o2 | 0o10 | 0o100 | 0o100000) // ISIG ICANON ECHO ECHONL IEXTEN
  raw[17 + 6] = 1 // VMIN
  raw[17 + 5] = 0 // VTIME
  return raw
}

/** The settings for typing a password: no echo, and Ctrl-C ends the line as a character. */
export function silentSettings(settings: Uint8Array): Uint8Array {
  const silent = settings.slice()
  const view = new DataView(silent.buffer)
  view.setUint32(12, (view.getUint32(12, true) & ~(0o1 | 0o10)) | 0o100, true) // ISIG ECHO; ECHONL
  silent[17 + 11] = 0x03 // VEOL
  return silent
}

/** Rows and columns, or null where there is no terminal, or one that nobody has told its size, as script(1) makes them. */
export function windowSize(fd: number): WindowSize | null {
  if (callResult("ioctl", fd, TIOCGWINSZ, scratch.address) < 0) return null
  const [height, width] = [scratch.u16(0), scratch.u16(2)]
  return height === 0 && width === 0 ? null : { height, width }
}

export function setWindowSize(fd: number, { height, width }: WindowSize): void {
  callResult("ioctl", fd, TIOCSWINSZ, winsize(height, width))
}

/** Receives one descriptor sent with SCM_RIGHTS, close-on-exec; null when the sender is gone: unix(7). */
export function receiveFd(socket: number): number | null {
  // One byte of data at the end of what the control message takes.
  const size = call(
    "recvmsg",
    socket,
    messageHeader(scratch.address + CMSG_FD_SIZE, 1, scratch.address),
    MSG_CMSG_CLOEXEC,
  )
  const length = scratch.u32(0)
  return size > 0 && length >= CMSG_FD_OFFSET + 4 ? scratch.i32(CMSG_FD_OFFSET) : null
}

/** Sends data and one descriptor with it, over a connected socket. Throws SyscallError. */
export function sendFd(socket: number, data: Uint8Array, fd: number): void {
  const control = new Uint8Array(CMSG_FD_SIZE)
  const view = new DataView(control.buffer)
  // cmsg_len, cmsg_level, cmsg_type: struct cmsghdr of cmsg(3).
  view.setUint32(0, CMSG_FD_OFFSET + 4, true)
  view.setUint32(8, SOL_SOCKET, true)
  view.setUint32(12, SCM_RIGHTS, true)
  view.setInt32(CMSG_FD_OFFSET, fd, true)
  call("sendmsg", socket, messageHeader(data, data.length, control), MSG_NOSIGNAL)
}
