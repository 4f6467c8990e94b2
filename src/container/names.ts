/** Names for containers that were given none: adjective_surname. */
const ADJECTIVES =
  "able agile amber bold brave bright brisk calm candid clever crisp daring eager fair fond frank gentle glad grand handy happy honest jolly keen kind light lively lucid merry mild neat nimble noble open plain polite proud quick quiet ready sage sharp sober solid stable steady sunny swift tidy true vivid warm wise witty".split(
    " ",
  )
const SURNAMES =
  "allen bell bohr boole cantor cerf church codd cray curie dijkstra engelbart erdos euler feynman floyd gauss goldberg goodall hamilton hopper hoare iverson johnson kay keller kernighan knuth lamarr lamport lampson lovelace maxwell mccarthy mccluskey meitner milner minsky naur newton noether perlis pike rabin ritchie rivest shannon stallman stroustrup tarjan thompson torvalds turing wilkes wirth wu yao zuse".split(
    " ",
  )

/** A name by chance, made from an id. */
export function proposeName(id: string): string {
  const pick = (list: readonly string[], digits: string) => list[Number.parseInt(digits, 16) % list.length] ?? ""
  return `${pick(ADJECTIVES, id.slice(0, 8))}_${pick(SURNAMES, id.slice(8, 16))}`
}
