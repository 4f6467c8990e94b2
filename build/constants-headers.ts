/**
 * Headers whose constants are compared, in groups that can be included together: glibc's sys/mount.h and the kernel's
 * linux/mount.h cannot. A name may be known to several groups, and then has to agree with all of them.
 */
export const HEADER_GROUPS: readonly (readonly string[])[] = [
  [
    ..."errno fcntl poll sched signal termios unistd limits elf link".split(" ").map((name) => `${name}.h`),
    ...(
      "mount stat statfs statvfs prctl socket un wait ioctl epoll eventfd signalfd timerfd inotify resource mman xattr " +
      "file sysmacros uio personality random reboot swap quota"
    )
      .split(" ")
      .map((name) => `sys/${name}.h`),
    ..."net/if.h netinet/in.h netinet/tcp.h arpa/inet.h netpacket/packet.h net/ethernet.h linux/vm_sockets.h".split(
      " ",
    ),
  ],
  [
    ...(
      "types mount openat2 sched stat fcntl magic capability seccomp filter bpf_common bpf audit elf-em prctl netlink " +
      "rtnetlink fib_rules if_link if_addr if_bridge veth neighbour memfd securebits keyctl close_range kcmp pidfd nsfs fs loop " +
      "genetlink net_namespace sockios xattr limits time_types wait tiocl tty major kdev_t version " +
      "if if_tun in in6 in_route ip icmp icmpv6 if_ether if_arp if_packet socket un poll eventpoll"
    )
      .split(" ")
      .map((name) => `linux/${name}.h`),
    ..."netfilter netfilter_ipv4 netfilter_ipv4/ip_tables netfilter_ipv6/ip6_tables netfilter/nf_tables netfilter/nf_tables_compat netfilter/xt_conntrack netfilter/nfnetlink netfilter/nf_nat netfilter/nf_conntrack_common netfilter/nfnetlink_conntrack"
      .split(" ")
      .map((name) => `linux/${name}.h`),
    ..."asm/ioctls.h asm/termbits.h asm-generic/resource.h".split(" "),
  ],
  // Collides with libc's headers, which some of the group above include.
  "signal resource personality mman ioctl termios inotify fanotify".split(" ").map((name) => `linux/${name}.h`),
]

/** Constants that Debian 12's headers lack, with the values of the kernel release that introduced them. */
export const NEWER_CONSTANTS: Readonly<Record<string, { value: number; since: string }>> = {
  MFD_NOEXEC_SEAL: { value: 0x0008, since: "Linux 6.3, linux/memfd.h" },
  MFD_EXEC: { value: 0x0010, since: "Linux 6.3, linux/memfd.h" },
  F_SEAL_EXEC: { value: 0x0020, since: "Linux 6.3, linux/fcntl.h" },
  MOVE_MOUNT_BENEATH: { value: 0x0200, since: "Linux 6.5, linux/mount.h" },
  FSCONFIG_CMD_CREATE_EXCL: { value: 8, since: "Linux 6.6, linux/mount.h" },
  STATX_MNT_ID_UNIQUE: { value: 0x4000, since: "Linux 6.8, linux/stat.h" },
  PIDFD_THREAD: { value: 0o200, since: "Linux 6.9, linux/pidfd.h" },
  AT_EXECVE_CHECK: { value: 0x10000, since: "Linux 6.14, linux/fcntl.h" },
}
