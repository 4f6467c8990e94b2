/** toybox port. */
import { recover } from "../../container/recover.ts"
import { readRunning, resolveId } from "../../container/state.ts"
import { ToyboxError, UsageError } from "../../errors.ts"
import { print } from "../../log.ts"
import { parseExposed, rangeLength } from "../../network/ports.ts"
import { formatBinding, portBindings, speaksIpv6 } from "../../network/show-ports.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { parseArgv } from "../argv.ts"
import { withLatest } from "../chosen.ts"
import { PORT_OPTIONS } from "./observe-options.ts"

/** `80` or `80/udp` as bindings have it. */
function portOf(text: string): string {
  const { ports, protocol } = parseExposed("port", text)
  if (rangeLength(ports) > 1) throw new UsageError(`port: "${text}" is more than one port`)
  return `${ports.first}/${protocol}`
}

export async function portCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PORT_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("port")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  const [reference, text, ...more] = withLatest(paths, argv).rest
  if (reference === undefined)
    throw new UsageError("port needs a container", { hint: "toybox ps lists those that run" })
  if (more.length > 0) throw new UsageError(`port takes a container and one port, but got "${more[0]}" too`)
  const wanted = text === undefined ? null : portOf(text)
  recover(paths)
  // One that does not run has none, which is no error.
  const running = readRunning(paths, resolveId(paths, reference))
  const bindings = portBindings(running?.ports ?? [], speaksIpv6()).filter(
    ({ port }) => wanted === null || port === wanted,
  )
  if (wanted !== null && bindings.length === 0)
    throw new ToyboxError(`${wanted} of container ${reference} is not published`, {
      hint: `toybox port ${reference} shows what is`,
      exitCode: 1,
    })
  if (booleans.get("json")) print(bindings.map((binding) => JSON.stringify(binding)))
  else print(bindings.map((one) => (wanted === null ? `${one.port} -> ${formatBinding(one)}` : formatBinding(one))))
  return 0
}
