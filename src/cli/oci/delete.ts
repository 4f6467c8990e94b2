/** toybox oci delete. */
import { deleteContainer } from "../../container/oci/delete.ts"
import { parseArgv } from "../argv.ts"
import { matchingIds, type OciContext, onlyId } from "./context.ts"
import { DELETE_OPTIONS } from "./options.ts"

export async function deleteCommand(words: readonly string[], { root }: OciContext): Promise<number> {
  const { booleans, rest } = parseArgv(words, DELETE_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("delete")
  for (const id of await matchingIds(root, onlyId("delete", rest), booleans.get("regex"))) {
    deleteContainer(root, id, booleans.get("force") ?? false)
  }
  return 0
}
