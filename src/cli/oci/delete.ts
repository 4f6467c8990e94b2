/** toybox oci delete. */
import { deleteContainer } from "../../container/oci/delete.ts"
import { parseArgv } from "../argv.ts"
import { eachMatching, type OciContext, onlyId } from "./context.ts"
import { DELETE_OPTIONS } from "./options.ts"

export async function deleteCommand(words: readonly string[], context: OciContext): Promise<number> {
  const { booleans, rest } = parseArgv(words, DELETE_OPTIONS)
  if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage("delete")
  return eachMatching(context, onlyId("delete", rest), booleans.get("regex") ?? false, (id) =>
    deleteContainer(context.root, id, booleans.get("force") ?? false),
  )
}
