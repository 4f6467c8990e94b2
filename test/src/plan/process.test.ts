import { expect, test } from "bun:test"
import { encodeSteps } from "../../../src/launch/encode/index.ts"
import { affinitySteps, processorNumbers } from "../../../src/plan/process.ts"
import { specOf } from "../spec/fixtures.ts"

test("lists of processors", () => {
  expect(processorNumbers("0-2, 5,7-7")).toEqual([0, 1, 2, 5, 7])
  expect(processorNumbers("")).toEqual([])
})

test("each moment has its own processors, or none", () => {
  const process = { ...specOf().process, execCPUAffinity: { initial: "0,65" } }
  const [step] = affinitySteps(process, "initial")
  expect(affinitySteps(process, "final")).toEqual([])
  if (!step) throw new Error("no step")
  const mask = new Uint8Array(16)
  mask[0] = 1
  mask[8] = 2
  expect(encodeSteps([step], { report: -1, free: [] })).toEqual([
    { name: "sched_setaffinity", args: [0, 16, mask], step: 0 },
  ])
})
