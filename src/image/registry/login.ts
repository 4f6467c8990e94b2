/** Whether a registry lets somebody in: distribution spec, "Determining Support"; Docker's token.md. */
import { exchange } from "../fetch/exchange.ts"
import { createAuthorizer } from "./auth.ts"
import type { Credentials } from "./credential-helper.ts"
import { chooseBase, type Endpoint, transportTo } from "./endpoint.ts"
import { registryError } from "./errors.ts"
import { type Manners, withRetries } from "./transport.ts"

/** "open": it lets everybody in, and so says nothing of the password. */
export type Admission = "admitted" | "open"

/** Tries credentials at a registry. Throws RegistryError where they are refused. */
export async function tryLogin(
  endpoint: Endpoint,
  credentials: Credentials,
  manners: Manners = {},
): Promise<Admission> {
  const { host } = endpoint
  const transport = transportTo(endpoint, manners)
  const base = await chooseBase(endpoint, transport)
  const authorizer = createAuthorizer({ base, host, credentials, transport })
  const what = `the login to ${host}`
  let sent: string | undefined
  for (let attempt = 1; ; attempt++) {
    const headers: Record<string, string> = sent === undefined ? {} : { authorization: sent }
    const answer = await withRetries(transport, () =>
      exchange(new URL("/v2/", base), { ...transport, headers, follow: false }),
    )
    if (answer.status === 200) {
      answer.cancel()
      return sent === undefined ? "open" : "admitted"
    }
    if (answer.status !== 401 || attempt > 2 || !authorizer.challenged(answer, "", sent))
      throw await registryError(answer, what, host)
    answer.cancel()
    sent = await authorizer.header("")
  }
}
