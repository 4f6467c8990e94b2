/** Another name for a container. */
import type { Paths } from "../paths.ts"
import { recordEvents } from "./events.ts"
import { changeName } from "./name.ts"
import { tellNeighbours } from "./neighbours.ts"
import { NoSuchContainer, readHead, writeHead } from "./state.ts"
import { withContainer } from "./with-container.ts"

/** Gives a container, be it running or not, another name; that is taken before the old one is given back. Throws ToyboxError. */
export function renameContainer(paths: Paths, reference: string, name: string): void {
  const change = (id: string): boolean => {
    const head = readHead(paths, id)
    if (head === null) throw new NoSuchContainer(reference)
    if (head.name === name) return false
    changeName(paths, id, { from: head.name, to: name }, () => writeHead(paths, { ...head, name }))
    recordEvents(paths, { ...head, name }, ["rename", { oldName: head.name }])
    return true
  }
  withContainer(paths, reference, {
    up(id, { networks = [] }) {
      if (change(id)) tellNeighbours(paths, networks)
    },
    down(id) {
      change(id)
    },
  })
}
