/** The list of calls that the walker carries out: what a call is. layout.ts writes it into memory. */

/** Holds the result of one call for later ones, e.g. a file descriptor. */
export interface Slot {
  readonly kind: "slot"
  readonly name: string
}

/** Zeroed memory that a call fills and that others may look at. `size` in bytes. */
export interface Out {
  readonly kind: "out"
  readonly name: string
  readonly size: number
}

/** The address of a place inside an Out, or of a slot. */
export interface At {
  readonly kind: "at"
  readonly out: Out | Slot
  readonly offset: number
}

/** A C structure without implied padding: fields of 1, 2, 4 or 8 bytes; pointers are 8. */
export interface Struct {
  readonly kind: "struct"
  readonly fields: readonly (readonly [1 | 2 | 4 | 8, Arg])[]
}

/** A NULL-terminated array of strings, as execve(2) takes. */
export interface Strings {
  readonly kind: "strings"
  readonly values: readonly string[]
}

export type Arg = number | bigint | string | null | Uint8Array | Slot | Out | At | Struct | Strings

/**
 * One call: a libc function or system call under its man-page name; or "load": ((word at arg 0 AND arg 1) OR arg 2) minus arg 3;
 * or, in stage one, "walk": the list at arg 0.
 */
export interface Call {
  readonly name: string
  readonly args: readonly Arg[]
  /** What failure is; a result of -1 unless said. */
  readonly fails?: "never" | "null" | { readonly mask: number; readonly unless: number }
  /** Errnos that are no failure. */
  readonly tolerate?: readonly number[]
  /** Tolerated errnos are reported all the same (for the exec candidates). */
  readonly report?: boolean
  readonly into?: Slot | { readonly at: At; readonly size: 4 | 8 }
  /** Skip `skip` calls (negative: go back) when result & mask equals, or differs from, `value`. */
  readonly jump?: {
    readonly when: "equal" | "not-equal"
    readonly value: number
    readonly mask?: number
    readonly skip: number
  }
  /** The step of the plan that this call belongs to; given back with a failure. */
  step?: number
}

export const slot = (name: string): Slot => ({ kind: "slot", name })
export const out = (name: string, size: number): Out => ({ kind: "out", name, size })
export const at = (target: Out | Slot, offset: number): At => ({ kind: "at", out: target, offset })
export const struct = (...fields: Struct["fields"]): Struct => ({ kind: "struct", fields })
export const strings = (values: readonly string[]): Strings => ({ kind: "strings", values })

/** The walker's own word: 0 in a child. A clone's result goes here, so that a failing child reports and exits. */
export const PROCESS = slot("process")
