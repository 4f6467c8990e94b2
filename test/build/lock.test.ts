import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"

interface Locked {
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

test("the lock file holds every package that one of it depends on, also those for other platforms", () => {
  const file = new URL("../../package-lock.json", import.meta.url)
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(readFileSync(file, "utf8"))
  const missing = Object.entries(packages).flatMap(([path, locked]) =>
    Object.keys({ ...locked.dependencies, ...locked.optionalDependencies })
      .filter((name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages))
      .map((name) => `${path || "package.json"} -> ${name}`),
  )
  expect(missing).toEqual([])
})
