import { describe, expect, test } from "bun:test"
import { compileWalker, walkerModule } from "../../build/native.ts"

interface WalkerModule {
  STAGE_ONE: Uint8Array
  STAGE_TWO: Uint8Array
  SIGNAL_HANDLER: Uint8Array
}

describe.each(["x64", "arm64"] as const)("the walker for %s", (arch) => {
  test("is what ffi/walker.c compiles to", async () => {
    const kept: WalkerModule = await import(walkerModule(arch))
    const compiled = compileWalker(arch)
    const advice = `ffi/walker.${arch}.ts is not ffi/walker.c compiled: run "npm run native"`
    expect(compiled.STAGE_ONE.equals(kept.STAGE_ONE), advice).toBe(true)
    expect(compiled.STAGE_TWO.equals(kept.STAGE_TWO), advice).toBe(true)
    expect(compiled.SIGNAL_HANDLER.equals(kept.SIGNAL_HANDLER), advice).toBe(true)
  })

  test("stays small", () => {
    const { STAGE_ONE, STAGE_TWO } = compileWalker(arch)
    expect(STAGE_ONE.length).toBeLessThan(1024)
    expect(STAGE_TWO.length).toBeLessThan(1024)
  })
})
