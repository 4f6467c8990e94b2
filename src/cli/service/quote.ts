/** Words as a systemd unit and a shell read them back. */

/**
 * A word of ExecStart= and the like: systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting". `%` and `$` would be
 * replaced there.
 */
export function systemdWord(word: string): string {
  const kept = word.replaceAll("%", "%%").replaceAll("$", "$$$$")
  if (/^[\w@%+=:,./$-]+$/.test(kept)) return kept
  const escaped = kept
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("\t", "\\t")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
    .replace(/[\x01-\x1f\x7f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`)
  return `"${escaped}"`
}

/** A word of sh(1). */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
