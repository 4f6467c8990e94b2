// linux/keyctl.h
export const KEYCTL_JOIN_SESSION_KEYRING = 1
