/** What a run asks of networks, and where it does not say. */

/** What a run asks of a network. */
export interface EndpointWish {
  network: string
  /** Addresses in text; null: a free one. */
  ip: string | null
  ip6: string | null
  mac: string | null
  /** Further names by which others on the network know it. */
  aliases: readonly string[]
  /** Nobody has asked for it. */
  byDefault?: boolean
}

/** Made when it is first needed. */
export const DEFAULT_NETWORK = "bridge"

/** What --net is where it is not given: TOYBOX_NETWORK, else the default network. */
export const usualNetwork = (): string => process.env.TOYBOX_NETWORK || DEFAULT_NETWORK

/** A place in the default network, with whatever address. */
export const USUAL_PLACES: readonly EndpointWish[] = [
  { network: DEFAULT_NETWORK, ip: null, ip6: null, mac: null, aliases: [], byDefault: true },
]
