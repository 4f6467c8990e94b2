/** What could come next on a command line, from the definitions of the commands; and what tells the shells. */
import type { ArgDef, CommandDef } from "citty"
import { listDir } from "../../ffi/fs.ts"
import { listImages } from "../image/store/records.ts"
import type { Paths } from "../paths.ts"

export interface Candidate {
  word: string
  description: string
}

type Args = Readonly<Record<string, ArgDef>>
export type Commands = Readonly<Record<string, CommandDef>>

const aliases = ({ alias }: ArgDef & { alias?: string | string[] }): string[] =>
  alias === undefined ? [] : typeof alias === "string" ? [alias] : alias

const dashed = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`)

/** The option that a word gives, and whether its value is the next word. */
function optionOf(args: Args, word: string): { wantsValue: boolean } | null {
  if (!word.startsWith("-") || word === "-") return null
  const name = word.replace(/^--?/, "").split("=")[0] ?? ""
  // Of "-it" the last one may take a value.
  const key = word.startsWith("--") ? name : (name.at(-1) ?? "")
  const found = Object.entries(args).find(([own, arg]) => own === key || aliases(arg).includes(key))
  return { wantsValue: found?.[1].type === "string" && !word.includes("=") && key !== "explain" }
}

function names(kind: string, paths: Paths): string[] {
  if (kind === "container") return listDir(paths.names)
  if (kind === "image") return listImages(paths).map(({ name }) => name.replace(/^docker\.io\/(library\/)?/, ""))
  if (kind === "volume") return listDir(paths.volumes).filter((name) => !name.startsWith("."))
  return kind === "rootfs" ? ["base", ...names("image", paths)] : []
}

/**
 * Words that may stand where the last of `words` is (which may be empty); none where a file or anything else may stand.
 * `words` begin after the program's name.
 */
export function candidates(words: readonly string[], commands: Commands, paths: Paths): Candidate[] {
  const current = words.at(-1) ?? ""
  const fits = ({ word }: Candidate) => word.startsWith(current)
  const [name, ...given] = words.slice(0, -1)
  if (name === undefined) {
    const all = Object.entries(commands).map(([word, { meta }]) => ({
      word,
      description: (meta as { description?: string } | undefined)?.description ?? "",
    }))
    return all.filter(fits)
  }
  const args = (Object.hasOwn(commands, name) ? (commands[name]?.args ?? {}) : {}) as Args
  const positionals = Object.entries(args).filter(([, { type }]) => type === "positional")
  let position = 0
  for (let i = 0; i < given.length; i++) {
    const word = given[i] ?? ""
    if (word === "--") break
    const option = optionOf(args, word)
    if (option === null) position++
    else if (option.wantsValue && i++ === given.length - 1) return []
  }
  // After the root file system, or the container of exec, the words are the command's.
  const isOver = ["run", "create", "exec", "top"].includes(name) && position > 0
  if (isOver) return []
  if (current.startsWith("-")) {
    const options = Object.entries(args).filter(([, { type }]) => type !== "positional")
    return options
      .flatMap(([own, arg]) =>
        [own, ...aliases(arg)].map((word) => ({ word: dashed(word), description: arg.description ?? "" })),
      )
      .filter(fits)
  }
  // The last one may be repeated.
  const [kind = ""] = positionals[Math.min(position, positionals.length - 1)] ?? []
  return names(kind, paths)
    .map((word) => ({ word, description: kind === "rootfs" ? "image" : kind }))
    .filter(fits)
}

// The shells split words in ways of their own: bash breaks them at colons, too, which names of images have.
const BASH = `_toybox() {
  local line current prefix
  local -a words
  read -ra words <<< "\${COMP_LINE:0:COMP_POINT}"
  [[ "\${COMP_LINE:0:COMP_POINT}" == *[[:space:]] ]] && words+=("")
  current="\${words[\${#words[@]}-1]}"
  prefix="\${current%"\${current##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do
    COMPREPLY+=("\${line#"$prefix"}")
  done < <("$1" completion candidates -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -o bashdefault -F _toybox toybox`

const ZSH = `#compdef toybox
_toybox() {
  local line
  local -a found
  for line in "\${(@f)$($words[1] completion candidates -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( $#found )); then _describe toybox found; else _files; fi
}
if [[ "$funcstack[1]" == _toybox ]]; then _toybox "$@"; else compdef _toybox toybox; fi`

const FISH = `function __toybox_candidates
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  $words[1] completion candidates -- $words[2..-1] "$current" 2>/dev/null
end
complete -c toybox -a '(__toybox_candidates)'`

/** The script to be read by each shell. */
export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
