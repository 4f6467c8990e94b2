/** Takes as many addresses as it is told, and prints them. */
import { formatIp, parseIp } from "../../../src/network/ip.ts"
import { takeFreeAddress, wholePool } from "../../../src/network/leases.ts"

const [directory = "", id = "", count = "0"] = process.argv.slice(2)
const ip = (text: string) => parseIp(text) ?? new Uint8Array()
const pool = wholePool({ ip: ip("172.17.0.0"), prefix: 16 }, [ip("172.17.0.1")])
for (let i = 0; i < Number(count); i++) {
  const address = takeFreeAddress(directory, pool, id)
  console.log(address === null ? "none" : formatIp(address))
}
