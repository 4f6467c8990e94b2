/** What the first word of `run` and `pull` means: a path, an address, an image in a directory or a file, or a reference. */
import { UsageError } from "../errors.ts"
import { parseReference, type Reference, type ShortNames, withDefaultTag } from "./reference.ts"

export type ImageSource =
  | { kind: "base" }
  /** A directory or an archive: what it is, its content tells. */
  | { kind: "path"; path: string }
  | { kind: "address"; url: string }
  /** An OCI image layout: image-layout.md. */
  | { kind: "oci"; path: string; tag?: string }
  | { kind: "oci-archive"; path: string; tag?: string }
  /** What `docker save` writes. */
  | { kind: "docker-archive"; path: string; reference?: Reference }
  | { kind: "registry"; reference: Reference }

// Docker's tags, and what else OCI layouts have as org.opencontainers.image.ref.name.
const REF_NAME = /^[\w][\w.\-+/@:]*$/

/** PATH[:REST]: a colon in a path can be written where nothing after it looks like a name. */
function splitPath(word: string, text: string): [string, string | undefined] {
  const colon = text.indexOf(":")
  const path = colon < 0 ? text : text.slice(0, colon)
  if (path === "") throw new UsageError(`${word}: a path is missing`, { hint: "the form is oci:DIR[:TAG]" })
  const rest = colon < 0 ? undefined : text.slice(colon + 1)
  if (rest !== undefined && !REF_NAME.test(rest))
    throw new UsageError(`${word}: "${rest}" after the path is not an image's name`)
  return [path, rest]
}

const TRANSPORT = /^(oci|oci-archive|docker-archive|docker|dir|containers-storage|docker-daemon):/

function transport(word: string, name: string, shortNames: ShortNames): ImageSource {
  const text = word.slice(name.length + 1)
  switch (name) {
    case "oci":
    case "oci-archive": {
      const [path, tag] = splitPath(word, text)
      return { kind: name, path, ...(tag === undefined ? {} : { tag }) }
    }
    case "docker-archive": {
      const [path, rest] = splitPath(word, text)
      return {
        kind: name,
        path,
        ...(rest === undefined ? {} : { reference: withDefaultTag(parseReference(rest, shortNames)) }),
      }
    }
    case "docker": {
      if (!text.startsWith("//")) break
      return { kind: "registry", reference: withDefaultTag(parseReference(text.slice(2), shortNames)) }
    }
  }
  throw new UsageError(`${word}: images are not taken from "${name}:"`, {
    hint: "oci:DIR, oci-archive:FILE, docker-archive:FILE, docker://REFERENCE, or a plain reference, path or address",
  })
}

/** Reads the word, whatever there is in the current directory. Throws UsageError. */
export function imageSource(word: string, shortNames: ShortNames): ImageSource {
  if (word === "base") return { kind: "base" }
  if (/^(\/|\.{1,2}(\/|$))/.test(word)) return { kind: "path", path: word }
  if (/^https?:\/\//i.test(word)) return { kind: "address", url: word }
  const name = TRANSPORT.exec(word)?.[1]
  // docker:dind is an image, too: a tag is no path, and has no slash.
  if (name !== undefined && (name !== "docker" || word.startsWith("docker://")))
    return transport(word, name, shortNames)
  return { kind: "registry", reference: withDefaultTag(parseReference(word, shortNames)) }
}
