/** What is known of a container's health: containers/ID/health.json. */
import { replaceFile } from "../../ffi/fs.ts"
import type { Paths } from "../paths.ts"
import { readJson } from "../state-file.ts"
import type { Health } from "./health.ts"
import { containerPath } from "./state.ts"

const healthPath = (paths: Paths, id: string) => `${containerPath(paths, id)}/health.json`

/** What was found last; null where nothing is known. */
export const readHealth = (paths: Paths, id: string): Health | null => readJson<Health>(healthPath(paths, id))

export const writeHealth = (paths: Paths, id: string, health: Health): void =>
  replaceFile(healthPath(paths, id), JSON.stringify(health))
