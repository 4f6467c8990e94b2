// linux/memfd.h. MFD_EXEC since 6.3.
export const MFD_CLOEXEC = 0x0001
export const MFD_ALLOW_SEALING = 0x0002
export const MFD_EXEC = 0x0010
