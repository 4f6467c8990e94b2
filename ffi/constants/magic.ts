// linux/magic.h
export const PROC_SUPER_MAGIC = 0x9fa0
export const CGROUP2_SUPER_MAGIC = 0x63677270
export const RAMFS_MAGIC = 0x858458f6
export const TMPFS_MAGIC = 0x01021994
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630
export const SYSFS_MAGIC = 0x62656572
export const CGROUP_SUPER_MAGIC = 0x27e0eb
export const DEBUGFS_MAGIC = 0x64626720
export const TRACEFS_MAGIC = 0x74726163
export const SECURITYFS_MAGIC = 0x73636673
export const BPF_FS_MAGIC = 0xcafe4a11
export const PSTOREFS_MAGIC = 0x6165676c
export const EFIVARFS_MAGIC = 0xde5e81e4
