import { enterRunning } from "../../../src/container/entry.ts"
import {
  type ContainerRecord,
  makeContainerDirectory,
  newId,
  type RunningRecord,
  writeRecord,
} from "../../../src/container/state.ts"
import type { StoredRequest } from "../../../src/container/stored-request.ts"
import { ensurePaths, type Paths, pathsFor } from "../../../src/paths.ts"
import type { FileLock } from "../../../src/state-file.ts"
import { temporaryDirectory } from "../../helpers/scratch.ts"
import { REQUEST, specOf } from "../spec/fixtures.ts"

/** A state directory of its own. */
export function makeState(): Paths {
  const paths = pathsFor(temporaryDirectory("state"))
  ensurePaths(paths)
  return paths
}

/** What is among the running ones for a container. */
export const runningRecord = (changes: Partial<RunningRecord> = {}): RunningRecord => ({
  pid: 0,
  startTime: "",
  started: "2026-01-01T00:00:00.000Z",
  autoRemove: false,
  name: "some_name",
  cgroup: null,
  ...changes,
})

/** Enters a container that nobody else has entered among the running ones. */
export function enter(paths: Paths, id: string, record: RunningRecord): FileLock {
  const lock = enterRunning(paths, id, record)
  if (lock === null) throw new Error(`${id} is among the running ones already`)
  return lock
}

/** What a container could be started again with. */
const STORED: StoredRequest = {
  image: "base",
  lower: "/",
  below: [],
  name: undefined,
  autoRemove: false,
  interactive: false,
  init: false,
  detachKeys: [],
  stopSignal: 15,
  cgroupParent: null,
  entrypoint: 0,
  exposed: [],
  requested: { resources: {}, options: {}, defaults: [] },
  process: REQUEST,
  commandLine: null,
  names: null,
  networks: [],
  ports: null,
  volumes: [],
}

/** A container on disk; returns its record. */
export function makeContainer(paths: Paths, changes: Partial<ContainerRecord> = {}): ContainerRecord {
  const record: ContainerRecord = {
    id: newId(),
    name: "some_name",
    created: "2026-01-01T00:00:00.000Z",
    image: "base",
    command: ["/bin/sh"],
    autoRemove: false,
    stopSignal: 15,
    labels: {},
    spec: specOf(),
    ...changes,
  }
  makeContainerDirectory(paths, record.id)
  writeRecord(paths, record, STORED)
  return record
}
