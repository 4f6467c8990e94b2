/** Reads what is asked for of each key once. */
export function once<K, T>(read: (key: K) => T): (key: K) => T {
  const known = new Map<K, T>()
  return (key) => {
    let found = known.get(key)
    if (found === undefined) {
      found = read(key)
      known.set(key, found)
    }
    return found
  }
}
