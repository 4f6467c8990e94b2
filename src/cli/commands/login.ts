/** toybox login, toybox logout. */
import { ToyboxError, UsageError } from "../../errors.ts"
import { forgetPassword, storedHosts, storePassword } from "../../image/registry/auth-store.ts"
import { authFile, authFiles, findCredentials, normalKey } from "../../image/registry/credentials.ts"
import { endpointsFor } from "../../image/registry/endpoint.ts"
import { RegistryError } from "../../image/registry/errors.ts"
import { tryLogin } from "../../image/registry/login.ts"
import { loadSettings } from "../../image/registry/settings.ts"
import { notice, print } from "../../log.ts"
import { ensurePaths, pathsFor } from "../../paths.ts"
import { type ParsedArgv, parseArgv } from "../argv.ts"
import { isInsecure } from "../flags/remote.ts"
import { ask, passwordFromInput } from "../password.ts"
import { LOGIN_OPTIONS, LOGOUT_OPTIONS } from "./login-options.ts"

const DOCKER_HUB = "docker.io"

function registryOf(command: string, { rest }: ParsedArgv): string {
  const [text = DOCKER_HUB, ...more] = rest
  if (more.length > 0) throw new UsageError(`${command} takes one registry, but got "${more[0]}", too`)
  const host = normalKey(text)
  if (!/^[\w.-]+(:\d+)?$|^\[[0-9a-f:]+\](:\d+)?$/i.test(host))
    throw new UsageError(`${command}: "${text}" is not a registry`, { hint: "the form is HOST[:PORT]" })
  return host
}

function statePaths({ strings }: ParsedArgv) {
  const paths = pathsFor(strings.get("root") ?? process.env.TOYBOX_ROOT)
  ensurePaths(paths)
  return paths
}

/** Who a registry is spoken to as. Throws ToyboxError where that is nobody. */
async function printLogin(state: string, host: string): Promise<number> {
  const files = authFiles(state, process.env, process.geteuid?.() ?? 0)
  const found = await findCredentials(host, "", files)
  if (found === null) throw new ToyboxError(`not logged in to ${host}`, { hint: `toybox login ${host}` })
  print([found.kind === "password" ? found.username : "a token, without a user name"])
  return 0
}

export async function loginCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, LOGIN_OPTIONS)
  const { booleans, strings } = argv
  if (booleans.get("help")) return (await import("../usage.ts")).printUsage("login")
  const host = registryOf("login", argv)
  const fromInput = booleans.get("password-stdin") ?? false
  const given = strings.get("password")
  if (fromInput && given !== undefined) throw new UsageError("--password-stdin does not go with --password")
  for (const [option, is] of [
    ["--password-stdin", fromInput],
    ["--password", given !== undefined],
  ] as const)
    if (is && strings.get("username") === undefined) throw new UsageError(`${option} needs --username`)
  const { state } = statePaths(argv)
  if (booleans.get("get-login")) return printLogin(state, host)
  if (given !== undefined) notice("a password on a command line is seen by everybody: --password-stdin takes it unseen")
  const endpoint = endpointsFor(host, loadSettings(state), {
    insecure: isInsecure(argv),
    ca: argv.lists.get("ca"),
  }).find(({ mirror }) => !mirror)
  if (endpoint === undefined) throw new ToyboxError(`${host} is not reached in any way`)
  const username = strings.get("username") ?? ask(`User name for ${host}: `, false)
  const password = given ?? (fromInput ? passwordFromInput() : ask(`Password of ${username} for ${host}: `, true))
  try {
    const admission = await tryLogin(endpoint, { kind: "password", username, password }, { notice })
    if (admission === "open") notice(`${host} lets everybody in: nothing says whether the password is right`)
  } catch (error) {
    if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) throw error
    throw new ToyboxError(`${host} refuses this user name and password; nothing was kept`, {
      cause: error,
      hint: "many registries want a token in the place of the account's password",
    })
  }
  storePassword(state, host, username, password)
  notice(`the password is in ${authFile(state)}, which only its owner can read; it is not encrypted`)
  print([`logged in to ${host} as ${username}`])
  return 0
}

export async function logoutCommand(words: readonly string[]): Promise<number> {
  const argv = parseArgv(words, LOGOUT_OPTIONS)
  if (argv.booleans.get("help")) return (await import("../usage.ts")).printUsage("logout")
  const all = argv.booleans.get("all") ?? false
  if (all && argv.rest.length > 0) throw new UsageError("logout --all takes no registry")
  const host = registryOf("logout", argv)
  const { state } = statePaths(argv)
  for (const name of all ? storedHosts(state) : [host]) {
    print([forgetPassword(state, name) ? `logged out of ${name}` : `not logged in to ${name}`])
    const others = authFiles(state, process.env, process.geteuid?.() ?? 0)
    if (await findCredentials(name, "", others)) notice(`podman's or docker's files still have credentials for ${name}`)
  }
  return 0
}
