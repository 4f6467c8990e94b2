// linux/personality.h
export const PER_LINUX = 0x0000
export const PER_LINUX32 = 0x0008
