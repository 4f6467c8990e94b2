/** Requests to one repository of a registry, with what its registry wants to know of who asks. */

import { type Answer, exchange } from "../fetch/exchange.ts"
import { DEFAULT_PATIENCE } from "../fetch/retry.ts"
import { type Authorizer, createAuthorizer } from "./auth.ts"
import type { Credentials } from "./credential-helper.ts"
import { chooseBase, type Endpoint, transportTo } from "./endpoint.ts"
import { registryError } from "./errors.ts"
import { type Manners, type Transport, withRetries } from "./transport.ts"

export interface ClientOptions extends Manners {
  /** The credentials for a repository, where there are any. */
  credentials(host: string, path: string): Promise<Credentials | null>
}

export interface Repository {
  /** As people know the registry. */
  readonly host: string
  readonly base: URL
  /** Its name in the registry. */
  readonly path: string
  readonly mirror: boolean
  readonly transport: Transport
  readonly authorizer: Authorizer
}

/** Opens a repository; asks the registry nothing, where it is clear how it is reached. */
export async function openRepository(endpoint: Endpoint, path: string, options: ClientOptions): Promise<Repository> {
  const { host, mirror } = endpoint
  const { credentials: find, ...manners } = options
  const transport = transportTo(endpoint, manners)
  const [base, credentials] = await Promise.all([chooseBase(endpoint, transport), find(host, path)])
  return {
    host,
    base,
    path: endpoint.prefix + path,
    mirror,
    transport,
    authorizer: createAuthorizer({ base, host, credentials, transport }),
  }
}

export interface Call {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Below the repository ("manifests/latest"), or a whole address. */
  at: string | URL
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array | Blob
  actions?: "pull" | "pull,push"
  /** Further scopes: where a blob is mounted from. */
  scopes?: readonly string[]
  /** False: a failure is not followed by the same again. */
  repeat?: boolean
  /** Milliseconds for the whole request to be sent and answered, where that takes longer than usual. */
  patience?: number
}

const MAX_CHALLENGES = 3

/** The address of something in a repository: distribution spec, "Endpoints". */
export const addressIn = ({ base, path }: Repository, at: string | URL): URL =>
  at instanceof URL ? at : new URL(`/v2/${path}/${at}`, base)

/**
 * Makes a request, authorised as the registry wants it. The answer is of any status but 401; `what` is for messages.
 * Throws TransferError, or RegistryError where nobody is let in.
 */
export async function call(repository: Repository, what: string, request: Call): Promise<Answer> {
  const { authorizer, transport, host } = repository
  const url = addressIn(repository, request.at)
  const scope = [`repository:${repository.path}:${request.actions ?? "pull"}`, ...(request.scopes ?? [])].join(" ")
  // An upload may go on at another host, which gets the body and nothing more.
  const own = url.origin === repository.base.origin
  for (let attempt = 1; ; attempt++) {
    const authorization = own ? await authorizer.header(scope) : undefined
    const patience = transport.patience ?? DEFAULT_PATIENCE
    const once = () =>
      exchange(url, {
        ...transport,
        method: request.method,
        headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
        ...(request.body === undefined ? {} : { body: request.body }),
        follow: request.method === "GET" || request.method === "HEAD",
        patience: { ...patience, answer: Math.max(patience.answer, request.patience ?? 0) },
      })
    const response = (request.repeat ?? true) ? await withRetries(transport, once) : await once()
    // A 401 of a host that we were sent on to says nothing of our credentials here.
    const ours = own && response.url.origin === repository.base.origin
    if (response.status !== 401 || !ours) return response
    if (attempt === MAX_CHALLENGES || !authorizer.challenged(response, scope, authorization))
      throw await registryError(response, what, host)
    response.cancel()
  }
}
