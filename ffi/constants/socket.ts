// sys/socket.h
export const AF_UNIX = 1
export const AF_INET = 2
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_SEQPACKET = 5
export const SOCK_CLOEXEC = 0o2000000
export const SOCK_NONBLOCK = 0o4000
export const SOL_SOCKET = 1
export const SCM_RIGHTS = 1
export const MSG_CMSG_CLOEXEC = 0x40000000
export const SOCK_RAW = 3
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_NOSIGNAL = 0x4000
export const AF_INET6 = 10
export const SO_REUSEADDR = 2
export const SO_RCVBUF = 8
export const SO_ERROR = 4
export const SO_KEEPALIVE = 9
export const SO_LINGER = 13
export const SHUT_WR = 1
// netinet/in.h, linux/in6.h
export const IPPROTO_IPV6 = 41
export const IPV6_V6ONLY = 26
export const IPPROTO_IP = 0
export const IPPROTO_RAW = 255
export const IPPROTO_TCP = 6
export const IP_PKTINFO = 8
export const IPV6_RECVPKTINFO = 49
export const IPV6_PKTINFO = 50
// netinet/tcp.h
export const TCP_NODELAY = 1
