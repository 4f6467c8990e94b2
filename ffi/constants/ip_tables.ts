// linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h
export const IPT_SO_GET_INFO = 64
export const IPT_SO_GET_ENTRIES = 65
export const IP6T_SO_GET_INFO = 64
export const IP6T_SO_GET_ENTRIES = 65
