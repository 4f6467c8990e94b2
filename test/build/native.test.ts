import { describe, expect, test } from "bun:test"
import { compileWalker, PIECES, walkerModule } from "../../build/native.ts"

describe.each(["x64", "arm64"] as const)("the walker for %s", (arch) => {
  test("is what ffi/walker.c compiles to", async () => {
    const { WALKER } = (await import(walkerModule(arch))) as { WALKER: Record<(typeof PIECES)[number], string> }
    const compiled = compileWalker(arch)
    const advice = `ffi/walker.${arch}.ts is not ffi/walker.c compiled: run "npm run native"`
    for (const piece of PIECES) expect(compiled[piece].toString("base64"), `${piece}: ${advice}`).toBe(WALKER[piece])
  })

  test("stays small", () => {
    for (const code of Object.values(compileWalker(arch))) expect(code.length).toBeLessThan(1024)
  })
})
