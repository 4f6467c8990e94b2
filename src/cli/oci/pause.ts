/** toybox oci pause and resume. */
import { pauseContainer, resumeContainer } from "../../container/oci/kill.ts"
import { parseArgv } from "../argv.ts"
import { type OciContext, onlyId } from "./context.ts"
import { PLAIN_OPTIONS } from "./options.ts"

const command =
  (name: string, act: (root: string, id: string) => void) =>
  async (words: readonly string[], { root }: OciContext): Promise<number> => {
    const { booleans, rest } = parseArgv(words, PLAIN_OPTIONS)
    if (booleans.get("help")) return (await import("./usage.ts")).printOciUsage(name)
    act(root, onlyId(name, rest))
    return 0
  }

export const pauseCommand = command("pause", pauseContainer)
export const resumeCommand = command("resume", resumeContainer)
