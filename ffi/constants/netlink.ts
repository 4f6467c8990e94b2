// linux/socket.h (sys/socket.h), linux/netlink.h
export const AF_NETLINK = 16
export const SOL_NETLINK = 270
export const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12
// Options: CAP_ACK since 4.3, EXT_ACK since 4.12, GET_STRICT_CHK since 4.20.
export const NETLINK_CAP_ACK = 10
export const NETLINK_EXT_ACK = 11
export const NETLINK_GET_STRICT_CHK = 12
// Flags of any message.
export const NLM_F_REQUEST = 0x01
export const NLM_F_MULTI = 0x02
export const NLM_F_ACK = 0x04
export const NLM_F_ECHO = 0x08
export const NLM_F_DUMP_INTR = 0x10
// Of requests that get, that make, that remove; of acks.
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
export const NLM_F_NONREC = 0x100
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200
// Types below NLMSG_MIN_TYPE are netlink's own.
export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_OVERRUN = 4
export const NLMSG_MIN_TYPE = 16
export const NLMSGERR_ATTR_MSG = 1
export const NLMSGERR_ATTR_OFFS = 2
export const NLA_F_NESTED = 0x8000
export const NLA_F_NET_BYTEORDER = 0x4000
