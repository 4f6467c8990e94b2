// sys/socket.h
export const AF_UNIX = 1
export const AF_INET = 2
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_SEQPACKET = 5
export const SOCK_CLOEXEC = 0o2000000
export const SOL_SOCKET = 1
export const SCM_RIGHTS = 1
export const MSG_CMSG_CLOEXEC = 0x40000000
export const AF_NETLINK = 16
export const SOCK_RAW = 3
export const NETLINK_NETFILTER = 12
export const NFNL_SUBSYS_NFTABLES = 10
export const NFT_MSG_GETGEN = 16
export const NLM_F_REQUEST = 1
export const NLMSG_ERROR = 2
