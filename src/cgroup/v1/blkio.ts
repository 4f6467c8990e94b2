import type { LinuxBlockIO, LinuxThrottleDevice } from "../../oci/resources.ts"
import type { FileWrite } from "../plan.ts"

// CFQ, and with it blkio.weight and the leaf weights, went in Linux 5.0; BFQ has a file of its own.
function weightWrite(file: string, bfq: string, value: string, field: string): FileWrite {
  return { file, value, field, others: [{ file: bfq, value }] }
}

/** `blkio.*` files: blkio-controller.rst. */
export function blkioWrites(blockIO: LinuxBlockIO): FileWrite[] {
  const { weight, leafWeight, weightDevice = [] } = blockIO
  const writes: FileWrite[] = []
  if (weight) writes.push(weightWrite("blkio.weight", "blkio.bfq.weight", `${weight}`, "blockIO.weight"))
  if (leafWeight) writes.push({ file: "blkio.leaf_weight", value: `${leafWeight}`, field: "blockIO.leafWeight" })
  for (const { major, minor, weight, leafWeight } of weightDevice) {
    const device = `${major}:${minor}`
    const field = "blockIO.weightDevice"
    if (weight) {
      writes.push(weightWrite("blkio.weight_device", "blkio.bfq.weight_device", `${device} ${weight}`, field))
    }
    if (leafWeight) writes.push({ file: "blkio.leaf_weight_device", value: `${device} ${leafWeight}`, field })
  }
  return writes.concat(throttleWrites(blockIO))
}

function throttleWrites(blockIO: LinuxBlockIO): FileWrite[] {
  const sources = [
    ["read_bps", "throttleReadBpsDevice"],
    ["write_bps", "throttleWriteBpsDevice"],
    ["read_iops", "throttleReadIOPSDevice"],
    ["write_iops", "throttleWriteIOPSDevice"],
  ] as const
  return sources.flatMap(([kind, name]) => {
    const list: readonly LinuxThrottleDevice[] = blockIO[name] ?? []
    return list.map(({ major, minor, rate }) => ({
      file: `blkio.throttle.${kind}_device`,
      value: `${major}:${minor} ${rate}`,
      field: `blockIO.${name}`,
    }))
  })
}
