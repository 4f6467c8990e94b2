// sys/wait.h
export const P_PID = 1
export const WNOHANG = 1
export const WEXITED = 4
export const WNOWAIT = 0x1000000
export const __WALL = 0x40000000
