import { join } from "node:path"
import { rolldown } from "rolldown"
import { ROOT } from "./paths.ts"
import type { Arch } from "./targets.ts"

/**
 * The commands whose start is part of the product, each with the modules that it begins with. What they import is laid out in
 * one chunk for each set of them that shares it: to load a module costs about as much as to load ten chunks' worth of code, and
 * a bundler that heeds every `import()` alike cuts what `run` loads into forty.
 */
const STARTS: Readonly<Record<string, readonly string[]>> = {
  main: ["main"],
  run: ["cli/commands/run"],
  supervise: ["cli/commands/supervise"],
  forward: ["cli/commands/forward"],
  oci: ["create", "start", "run", "exec", "state", "kill", "delete"]
    .map((name) => `cli/oci/${name}`)
    .concat("cli/oci/index"),
  exec: ["cli/commands/exec"],
}

/** What comes after one of these, to a run that asks for it: without what is there already. */
const FURTHER: Readonly<Record<string, readonly string[]>> = {
  rare: ["cli/flags/rare", "cli/flags/rare-limits"],
  network: ["container/network", "network/leases"],
}

// "export const NAME = 0x1f" and the like: numbers, such as are made of others, and such as depend on the processor.
const PLAIN = /^(\s*|\/\/.*|\/\*.*\*\/|(import .*|export const \w+ = [-\w\s.|<>+~*()?:="]+);?(\s*\/\/.*)?)$/

/** Whether a module has nothing but numbers: they stand wherever they are used, and the module itself is seldom needed. */
const isPlain = (code: string | null) => code?.split("\n").every((line) => PLAIN.test(line)) ?? false

/** Bundles an entry for a processor into chunks in `directory`; returns the path of the entry's. */
export async function bundle(entry: string, directory: string, arch: Arch): Promise<string> {
  const imports = new Map<string, readonly string[]>()
  const plain = new Set<string>()
  let reached = new Map<string, string>()
  const build = await rolldown({
    input: { main: entry },
    platform: "node",
    // What differs between processors is decided here.
    transform: { define: { "process.arch": JSON.stringify(arch) } },
    optimization: { inlineConst: { mode: "all", pass: 2 } },
    preserveEntrySignatures: false,
    // A command that is imported both ways is meant so: it comes with what imports it statically.
    checks: { ineffectiveDynamicImport: false },
    external: /^(bun|node|#base)[:/]|^bun$/,
    plugins: [
      {
        name: "starts",
        moduleParsed: ({ id, importedIds, code }) => {
          if (isPlain(code)) plain.add(id)
          imports.set(id, importedIds)
        },
        buildEnd: () => {
          reached = startsReaching(imports)
        },
      },
    ],
  })
  try {
    const groups = [{ debugName: "starts", name: (id: string) => (plain.has(id) ? null : (reached.get(id) ?? null)) }]
    await build.write({
      dir: directory,
      format: "esm",
      minify: true,
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      codeSplitting: { includeDependenciesRecursively: false, groups },
    })
  } finally {
    await build.close()
  }
  return join(directory, "main.js")
}

/** For each module that a start reaches by static imports: the names of all those starts. */
function startsReaching(imports: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  const reached = new Map<string, string>()
  const enter = (starts: typeof STARTS, known: ReadonlySet<string>) => {
    for (const [name, modules] of Object.entries(starts)) {
      const seen = new Set(known)
      const visit = (id: string) => {
        if (seen.has(id) || !imports.has(id)) return
        seen.add(id)
        reached.set(id, reached.has(id) ? `${reached.get(id)}-${name}` : name)
        for (const imported of imports.get(id) ?? []) visit(imported)
      }
      for (const module of modules) visit(join(ROOT, `src/${module}.ts`))
    }
  }
  enter(STARTS, new Set())
  enter(FURTHER, new Set(reached.keys().filter((id) => reached.get(id)?.split("-").includes("run"))))
  return reached
}
