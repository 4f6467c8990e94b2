/** What could come next on a command line, from the definitions of the commands; and what tells the shells. */
import type { ArgDef, CommandDef } from "citty"
import * as signals from "../../ffi/constants/signal.ts"
import { listDir } from "../../ffi/directory.ts"
import { listImages } from "../image/store/records.ts"
import { listNetworks } from "../network/network.ts"
import type { Paths } from "../paths.ts"
import { GROUP_OPTIONS, LEADING_OPTIONS } from "./commands/run-options.ts"
import { GROUP_NAMES, groupWords } from "./groups.ts"

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
function optionOf(args: Args, word: string): { arg: ArgDef | undefined; wantsValue: boolean } | null {
  if (!word.startsWith("-") || word === "-") return null
  const name = word.replace(/^--?/, "").split("=")[0] ?? ""
  // Of "-it" the last one may take a value.
  const key = word.startsWith("--") ? name : (name.at(-1) ?? "")
  const arg = Object.entries(args).find(([own, one]) => own === key || aliases(one).includes(key))?.[1]
  return { arg, wantsValue: arg?.type === "string" && !word.includes("=") && key !== "explain" }
}

const SIGNALS = Object.keys(signals).flatMap((name) => (/^SIG[A-Z0-9]+$/.test(name) ? name.slice("SIG".length) : []))
const NETWORK_MODES = ["bridge", "none", "host"]

function names(kind: string, paths: Paths): string[] {
  if (kind === "container") return listDir(paths.names)
  if (kind === "image") return listImages(paths).map(({ name }) => name.replace(/^docker\.io\/(library\/)?/, ""))
  if (kind === "volume") return listDir(paths.volumes).filter((name) => !name.startsWith("."))
  if (kind === "network") return listNetworks(paths).map(({ name }) => name)
  return kind === "rootfs" ? ["base", ...names("image", paths)] : []
}

/** What an option's value may be, as far as its hint tells: a network, a container, or one of "a|b|N". */
function valuesOf(arg: ArgDef | undefined, paths: Paths): string[] {
  const hint = (arg as { valueHint?: string } | undefined)?.valueHint ?? ""
  if (hint === "NETWORK") return [...new Set([...NETWORK_MODES, ...names("network", paths)])]
  if (hint === "SIGNAL") return SIGNALS
  const words = hint.split("|").map((word) => word.replace(/\[.*\]$/, ""))
  if (words[0] === "CONTAINER") return names("container", paths)
  // Of others the parts are examples, or parts of a value.
  if (!words.every((word) => /^([A-Z]+|[a-z][a-z0-9-]*)$/.test(word))) return []
  return words.filter((word) => /^[a-z]/.test(word))
}

const descriptionOf = (command: CommandDef | undefined): string =>
  (command?.meta as { description?: string } | undefined)?.description ?? ""

const optionCandidates = (args: Args): Candidate[] =>
  Object.entries(args)
    .filter(([, arg]) => arg.type !== "positional")
    .flatMap(([own, arg]) =>
      [own, ...aliases(arg)].map((word) => ({ word: dashed(word), description: arg.description ?? "" })),
    )

/** How many words in front are options, with their values; null where what comes is the value of the last one. */
function countOptions(words: readonly string[], args: Args): number | null {
  for (let i = 0; ; i++) {
    const option = optionOf(args, words[i] ?? "")
    if (option === null) return i
    if (option.wantsValue && ++i === words.length) return null
  }
}

/** What may stand at a place of a command that has read `before`. */
function placed(args: Args, before: readonly string[], paths: Paths, type: string | undefined): Candidate[] {
  const positionals = Object.entries(args).filter(([, arg]) => arg.type === "positional")
  const [action] = before
  // The last one may be repeated.
  let [kind = "", arg] = positionals[Math.min(before.length, positionals.length - 1)] ?? []
  // These have their words in their descriptions: "ls, rm or prune".
  if (["action", "kind", "shell"].includes(kind))
    return (arg?.description ?? "").split(/, | or /).map((word) => ({ word, description: kind }))
  // Of two places one is in a container, whose path the shell goes on with; the other is a file.
  if (positionals[0]?.[0] === "source")
    return before.some((word) => word.includes(":"))
      ? []
      : names("container", paths).map((name) => ({ word: `${name}:`, description: "container" }))
  const hasActions = positionals[0]?.[0] === "action"
  // No name that there is can be given to what is made, and what concerns all takes none.
  if (hasActions && ["create", "ls", "list", "prune", "reload"].includes(action ?? "")) return []
  if (hasActions && kind === "container" && !["connect", "disconnect"].includes(action ?? "")) kind = "network"
  const kinds = kind !== "what" ? [kind] : type === undefined ? ["container", "image", "volume"] : [type]
  return kinds.flatMap((one) =>
    names(one, paths).map((word) => ({ word, description: one === "rootfs" ? "image" : one })),
  )
}

/**
 * Words that may stand where the last of `words` is (which may be empty); none where a file or anything else may stand.
 * `words` begin after the program's name.
 */
export function candidates(words: readonly string[], commands: Commands, paths: Paths): Candidate[] {
  const current = words.at(-1) ?? ""
  const fits = ({ word }: Candidate) => word.startsWith(current)
  const isOption = current.startsWith("-")
  const before = words.slice(0, -1)
  const leading = countOptions(before, LEADING_OPTIONS)
  if (leading === null) return []
  const [name, ...given] = before.slice(leading)
  if (name === undefined) {
    if (isOption) return optionCandidates(LEADING_OPTIONS).filter(fits)
    const all = Object.entries(commands).map(([word, command]) => ({ word, description: descriptionOf(command) }))
    const groups = GROUP_NAMES.map((word) => ({ word, description: "Docker's words for other commands" }))
    return [...all, ...groups].filter(fits)
  }
  const group = groupWords(name)
  if (group !== null) {
    const count = countOptions(given, GROUP_OPTIONS)
    if (count === null) return []
    const [word, ...rest] = given.slice(count)
    if (word === undefined && isOption) return optionCandidates(GROUP_OPTIONS).filter(fits)
    if (word === undefined)
      return group
        .map(([own, [command = ""]]) => ({ word: own, description: descriptionOf(commands[command]) }))
        .filter(fits)
    const meant = group.find(([own]) => own === word)?.[1]
    return meant === undefined ? [] : candidates([...meant, ...rest, current], commands, paths)
  }
  const args = (Object.hasOwn(commands, name) ? (commands[name]?.args ?? {}) : {}) as Args
  const placedWords: string[] = []
  const valueCandidates = (arg: ArgDef | undefined, prefix = "") =>
    valuesOf(arg, paths)
      .map((value) => ({ word: `${prefix}${value}`, description: arg?.description ?? "" }))
      .filter(fits)
  let type: string | undefined
  for (let i = 0; i < given.length; i++) {
    const word = given[i] ?? ""
    if (word === "--") break
    const option = optionOf(args, word)
    if (option === null) placedWords.push(word)
    else if (option.wantsValue && i++ === given.length - 1) return valueCandidates(option.arg)
    if (word === "--type") type = given[i]
  }
  // After the root file system, or the container of exec, the words are the command's.
  const isOver = ["run", "create", "exec", "top"].includes(name) && placedWords.length > 0
  if (isOver) return []
  const prefix = /^--[^=]+=/.exec(current)?.[0]
  if (prefix !== undefined) return valueCandidates(optionOf(args, current)?.arg, prefix)
  if (isOption) return optionCandidates(args).filter(fits)
  return placed(args, placedWords, paths, type).filter(fits)
}

// The shells split words in ways of their own: bash breaks them at colons, too, which names of images have. A word that ends with
// a colon has more to come, without a space; in its place a file can stand.
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
  [[ "\${COMPREPLY[0]}" == *: ]] || return
  compopt -o nospace 2>/dev/null
  while IFS= read -r line; do
    [[ -d $line ]] && line+=/
    COMPREPLY+=("$(printf %q "$line")")
  done < <(compgen -f -- "$current")
}
complete -o default -o bashdefault -F _toybox toybox`

const ZSH = `#compdef toybox
_toybox() {
  local line word
  local -a found begun
  for line in "\${(@f)$($words[1] completion candidates -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    word="\${line%%$'\\t'*}"
    line="\${word//:/\\\\:}:\${line#*$'\\t'}"
    if [[ $word == *: ]]; then begun+=("$line"); elif [[ -n $word ]]; then found+=("$line"); fi
  done
  if (( $#found )); then _describe toybox found; return; fi
  (( $#begun )) && _describe toybox begun -S ''
  _files
}
if [[ "$funcstack[1]" == _toybox ]]; then _toybox "$@"; else compdef _toybox toybox; fi`

// Files are for where nothing else fits.
const FISH = `function __toybox_find
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -g __toybox_found ($words[1] completion candidates -- $words[2..-1] "$current" 2>/dev/null)
  string match -q '*:'\\t'*' -- $__toybox_found; and set -a __toybox_found (__fish_complete_path "$current")
  test (count $__toybox_found) -gt 0
end
complete -c toybox -f -n __toybox_find -a '$__toybox_found'`

/** The script to be read by each shell. */
export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
