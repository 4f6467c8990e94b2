// asm-generic/ioctls.h, linux/sockios.h, net/if.h
export const TCGETS = 0x5401
export const TCSETS = 0x5402
export const TCSETSF = 0x5404
export const TIOCSCTTY = 0x540e
export const TIOCGWINSZ = 0x5413
export const TIOCSWINSZ = 0x5414
export const TIOCSPTLCK = 0x40045431
export const TIOCGPTPEER = 0x5441
export const SIOCSIFFLAGS = 0x8914
export const IFF_UP = 1
export const IFF_RUNNING = 0x40
