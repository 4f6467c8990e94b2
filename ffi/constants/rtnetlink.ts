// linux/rtnetlink.h
export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTM_NEWADDR = 20
export const RTM_GETADDR = 22
export const RTM_NEWROUTE = 24
export const RTM_GETROUTE = 26
export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
export const RTA_DST = 1
export const RTA_OIF = 4
export const RTA_GATEWAY = 5
export const RTA_METRICS = 8
export const RTA_TABLE = 15
export const RTAX_MTU = 2
export const RT_TABLE_MAIN = 254
export const RT_TABLE_LOCAL = 255
export const RTPROT_BOOT = 3
export const RTPROT_RA = 9
export const RTN_UNICAST = 1
export const RTN_LOCAL = 2
export const RT_SCOPE_UNIVERSE = 0
// linux/if_link.h
export const IFLA_ADDRESS = 1
export const IFLA_IFNAME = 3
export const IFLA_MTU = 4
export const IFLA_MASTER = 10
export const IFLA_GROUP = 27
export const IFLA_NUM_TX_QUEUES = 31
export const IFLA_NUM_RX_QUEUES = 32
export const IFLA_LINKINFO = 18
export const IFLA_NET_NS_PID = 19
export const IFLA_IFALIAS = 20
export const IFLA_INFO_KIND = 1
export const IFLA_INFO_DATA = 2
export const IFLA_INFO_SLAVE_KIND = 4
export const IFLA_INFO_SLAVE_DATA = 5
export const IFLA_BR_MCAST_SNOOPING = 23
export const IFLA_BRPORT_MODE = 4
export const IFLA_BRPORT_GUARD = 5
export const IFLA_BRPORT_PROTECT = 6
export const IFLA_BRPORT_ISOLATED = 33
// linux/if.h
export const IFF_UP = 1
// linux/veth.h
export const VETH_INFO_PEER = 1
// linux/if_addr.h
export const IFA_ADDRESS = 1
export const IFA_LOCAL = 2
export const IFA_BROADCAST = 4
export const IFA_FLAGS = 8
export const IFA_F_NODAD = 2
// linux/fib_rules.h
export const FRA_SRC = 2
export const FRA_IIFNAME = 3
export const FRA_GOTO = 4
export const FRA_PRIORITY = 6
export const FR_ACT_TO_TBL = 1
export const FR_ACT_GOTO = 2
export const FR_ACT_PROHIBIT = 8
