/** Device access: rules to cgroup v1 lines (`devices/v1.ts`) and to a v2 eBPF program (`devices/bpf.ts`). */
export { attachDeviceProgram } from "./devices/attach.ts"
export { allowsEverything, deviceProgram } from "./devices/bpf.ts"
export { type DeviceMapping, parseDevice } from "./devices/option.ts"
export { checkedRules, type DeviceRule } from "./devices/rules.ts"
export { deviceLines } from "./devices/v1.ts"
