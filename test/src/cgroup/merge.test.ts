import { expect, test } from "bun:test"
import { mergeResources } from "../../../src/cgroup/merge.ts"

test("limits of devices are of each device: what is asked of one leaves the others", () => {
  const at = (minor: number, rate: number) => ({ major: 8, minor, rate })
  const before = { blockIO: { weight: 300, throttleReadBpsDevice: [at(0, 1), at(16, 2)] }, cpu: { quota: 1 } }
  const change = { blockIO: { throttleReadBpsDevice: [at(16, 3)], throttleWriteBpsDevice: [at(0, 4)] } }
  expect(mergeResources(before, change)).toEqual({
    blockIO: { weight: 300, throttleReadBpsDevice: [at(0, 1), at(16, 3)], throttleWriteBpsDevice: [at(0, 4)] },
    cpu: { quota: 1 },
  })
})
