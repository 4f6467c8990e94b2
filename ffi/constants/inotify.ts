// sys/inotify.h
export const IN_MODIFY = 0x2
export const IN_MOVED_FROM = 0x40
export const IN_MOVED_TO = 0x80
export const IN_CREATE = 0x100
export const IN_DELETE = 0x200
export const IN_CLOEXEC = 0o2000000
export const IN_NONBLOCK = 0o4000
