/** toybox pull. */
import { needsRoot, UsageError } from "../../errors.ts"
import { parseReference, repositoryName } from "../../image/reference.ts"
import { loadSettings } from "../../image/registry/settings.ts"
import type { PullPolicy } from "../../image/source.ts"
import { print } from "../../log.ts"
import { ensurePaths, type Paths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { each } from "../each.ts"
import { pullPolicy } from "../flags/image.ts"
import { imageName } from "../image.ts"
import { obtainImage, registryTags } from "../obtain.ts"
import { untilEnded } from "../signals.ts"
import { PULL_OPTIONS } from "./images-options.ts"

interface Pulling {
  argv: ParsedArgv
  paths: Paths
  policy: PullPolicy
  signal: AbortSignal
}

function named(word: string, paths: Paths) {
  const image = imageName(word, paths)
  if (image === null) throw new UsageError(`pull: ${word} is a path or an address, and no image`)
  return image
}

async function pullOne(word: string, { argv, paths, policy, signal }: Pulling): Promise<void> {
  const image = named(word, paths)
  const { record, fresh } = await obtainImage(image, argv, paths, policy, signal)
  if (argv.booleans.get("quiet")) print([record.id])
  else print([`${image.shown}: ${fresh ? "is up to date" : "pulled"}`, `digest: ${record.digest}`, `id: ${record.id}`])
}

/** All images of a repository. */
async function allTags(word: string, { argv, paths, signal }: Pulling): Promise<string[]> {
  const reference = parseReference(word, loadSettings(paths.state).shortNames)
  if (reference.tag !== undefined || reference.digest !== undefined)
    throw new UsageError(`pull --all-tags: ${word} has a tag or a digest`, { hint: "give the name alone" })
  const tags = await registryTags(named(word, paths), argv, paths, signal)
  return tags.map((tag) => `${repositoryName(reference)}:${tag}`)
}

export async function pullCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, PULL_OPTIONS)
  const { booleans, strings, rest } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("pull")
  const [word, ...more] = rest
  if (word === undefined) throw new UsageError("pull needs an image")
  const all = booleans.get("all-tags") ?? false
  if (all && more.length > 0) throw new UsageError("pull --all-tags takes one name")
  if (process.geteuid?.() !== 0) throw needsRoot("toybox pull")
  const policy = pullPolicy(strings.get("policy"), "always", "--policy")
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  // The modes of unpacked files are meant as they stand.
  process.umask(0)
  ensurePaths(paths)
  const pulling = { argv, paths, policy, signal: untilEnded(rest.join(", ")) }
  const wanted = all ? await allTags(word, pulling) : rest
  if (wanted.length === 1) {
    await pullOne(wanted[0] ?? "", pulling)
    return 0
  }
  const { signal } = pulling
  const exitCode = await each(wanted, async (one) => {
    try {
      if (!signal.aborted) await pullOne(one, pulling)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  })
  signal.throwIfAborted()
  return exitCode
}
