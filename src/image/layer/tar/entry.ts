/** What an archive says about one file. Names and values are binary strings (binary.ts). */

export type EntryType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo"

/** Where the data of a sparse file goes; between and after the pieces are holes. */
export interface SparseMap {
  /** Ascending, in bytes, not overlapping. */
  readonly offsets: readonly number[]
  readonly lengths: readonly number[]
}

export interface TarEntry {
  readonly type: EntryType
  /** As the archive has it: nothing is checked or normalised. */
  readonly path: string
  /** The target of a symlink or hard link. */
  readonly link: string
  /** The twelve permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of the file, in bytes, with its holes. */
  readonly size: number
  /** Seconds since 1970, rounded down, and nanoseconds to add. */
  readonly mtime: number
  readonly mtimeNanoseconds: number
  readonly major: number
  readonly minor: number
  readonly xattrs: ReadonlyMap<string, string> | null
  readonly sparse: SparseMap | null
}

/** What a reader tells, in the order of the archive. The bytes are only valid during the call. */
export interface TarSink {
  /** An entry; its content where all of it is at hand (always for what is no file), else null and it follows. */
  entry(entry: TarEntry, content: Uint8Array | null): void
  /** More of the content of the last entry; of a sparse file without its holes. */
  data(bytes: Uint8Array): void
  /** The content announced with null is complete. */
  end(): void
}

/** The archive is damaged, or is none; the message goes on from "the archive". */
export class TarError extends Error {
  override readonly name = "TarError"
}
