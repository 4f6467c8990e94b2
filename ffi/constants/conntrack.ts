// linux/netfilter/nfnetlink_conntrack.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_conntrack_common.h
export const NFNL_SUBSYS_CTNETLINK = 1
export const IPCTNL_MSG_CT_GET = 1
export const IPCTNL_MSG_CT_DELETE = 2
export const CTA_TUPLE_ORIG = 1
export const CTA_TUPLE_REPLY = 2
export const CTA_STATUS = 3
export const CTA_TUPLE_IP = 1
export const CTA_TUPLE_PROTO = 2
export const CTA_IP_V4_SRC = 1
export const CTA_IP_V6_SRC = 3
export const CTA_PROTO_NUM = 1
export const CTA_PROTO_DST_PORT = 3
export const IPS_SEEN_REPLY = 2
