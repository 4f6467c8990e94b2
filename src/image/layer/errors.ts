/** What goes wrong while a layer is unpacked. */

/** An entry that is refused; the message goes on from its name. */
export class EntryError extends Error {
  override readonly name = "EntryError"
}

/** A limit was passed, or the disk is nearly full; the message is a sentence of its own. */
export class LimitError extends Error {
  override readonly name = "LimitError"
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** The compressed stream is damaged; the message goes on from its name. */
export class StreamError extends Error {
  override readonly name = "StreamError"
}
