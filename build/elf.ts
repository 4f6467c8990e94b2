/** One section of an ELF file: where its bytes lie in the file. */
export interface Section {
  readonly name: string
  readonly offset: number
  readonly size: number
}

/** What the build needs to know of a 64-bit little-endian ELF file. */
export interface Elf {
  readonly machine: number
  readonly sections: readonly Section[]
  /** Whether the file asks for a dynamic loader. */
  readonly interpreted: boolean
}

const PT_INTERP = 3
const SHT_NOBITS = 8

/** Reads the tables of a 64-bit little-endian ELF file; anything else is an error. */
export function readElf(bytes: Uint8Array): Elf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error("not a 64-bit little-endian ELF file")
  }
  const u64 = (offset: number) => Number(view.getBigUint64(offset, true))
  const [programOffset, sectionOffset] = [u64(32), u64(40)]
  const programs = Array.from({ length: view.getUint16(56, true) }, (_, index) =>
    view.getUint32(programOffset + index * view.getUint16(54, true), true),
  )
  const headers = Array.from({ length: view.getUint16(60, true) }, (_, index) => {
    const at = sectionOffset + index * view.getUint16(58, true)
    return {
      nameAt: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      offset: u64(at + 24),
      size: u64(at + 32),
    }
  })
  const names = headers[view.getUint16(62, true)]
  const sections = headers.map((header) => ({
    name: names ? cString(bytes, names.offset + header.nameAt) : "",
    offset: header.offset,
    size: header.type === SHT_NOBITS ? 0 : header.size,
  }))
  return { machine: view.getUint16(18, true), sections, interpreted: programs.includes(PT_INTERP) }
}

/** The bytes of a named section, as a view into the file. */
export function sectionBytes(bytes: Uint8Array, elf: Elf, name: string): Uint8Array {
  const section = elf.sections.find((candidate) => candidate.name === name)
  if (!section) throw new Error(`the ELF file has no section ${name}`)
  return bytes.subarray(section.offset, section.offset + section.size)
}

function cString(bytes: Uint8Array, start: number): string {
  return Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString("latin1")
}
