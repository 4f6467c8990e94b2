// sys/wait.h
export const WNOHANG = 1
export const __WALL = 0x40000000
