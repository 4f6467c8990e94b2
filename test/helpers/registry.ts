import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeCertificates } from "./certificates.ts"
import { temporaryDirectory } from "./scratch.ts"

/** A registry (Debian's docker-registry) on loopback. */
export interface TestRegistry {
  /** Host and port. */
  host: string
  /** A file with the authority (PEM) of its certificate, where it speaks TLS. */
  ca: string | undefined
  /** What it has logged of requests so far: "GET /v2/x/manifests/latest 200". */
  requests(): string[]
  stop(): Promise<void>
}

export interface RegistryOptions {
  /** USER:PASSWORD, in htpasswd form; nobody else is let in. */
  password?: { user: string; password: string }
  tls?: boolean
  /** Further lines of its configuration. */
  config?: string
}

function run(cmd: readonly string[], stdin = ""): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...cmd], { stdin: new TextEncoder().encode(stdin) })
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`)
  return stdout.toString()
}

/** Starts a registry with nothing in it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const dir = temporaryDirectory("registry")
  mkdirSync(join(dir, "data"))
  const { password } = options
  const tls = options.tls ? makeCertificates(temporaryDirectory("tls"), "127.0.0.1") : undefined
  if (password) writeFileSync(join(dir, "htpasswd"), run(["htpasswd", "-Bbn", password.user, password.password]))
  writeFileSync(
    join(dir, "config.yml"),
    [
      "version: 0.1",
      "log: {accesslog: {disabled: false}, level: info}",
      `storage: {filesystem: {rootdirectory: ${dir}/data}, delete: {enabled: true}}`,
      `http: {addr: "127.0.0.1:0"${tls ? `, tls: {certificate: ${tls.certificate}, key: ${tls.key}}` : ""}}`,
      ...(password ? [`auth: {htpasswd: {realm: test, path: ${dir}/htpasswd}}`] : []),
      ...(options.config === undefined ? [] : [options.config]),
    ].join("\n"),
  )
  // A pipe would fill up, and the registry stand still, while a test waits for a client in spawnSync.
  const file = join(dir, "log")
  const child = Bun.spawn(["docker-registry", "serve", join(dir, "config.yml")], {
    stdin: "ignore",
    stdout: Bun.file(file),
    stderr: Bun.file(`${file}.errors`),
    env: { PATH: process.env.PATH ?? "", OTEL_TRACES_EXPORTER: "none" },
  })
  const log = () =>
    [file, `${file}.errors`].map((path) => (existsSync(path) ? readFileSync(path, "utf8") : "")).join("")
  let port: string | undefined
  for (const end = performance.now() + 10_000; port === undefined; await Bun.sleep(10)) {
    port = /listening on 127\.0\.0\.1:(\d+)/.exec(log())?.[1]
    if (child.exitCode !== null || performance.now() > end) throw new Error(`docker-registry does not start:\n${log()}`)
  }
  return {
    host: `127.0.0.1:${port}`,
    ca: tls?.ca,
    requests: () =>
      [...log().matchAll(/"(GET|HEAD|PUT|POST|PATCH|DELETE) (\S+) HTTP\/[\d.]+" (\d+)/g)].map(
        ([, method, path, status]) => `${method} ${path} ${status}`,
      ),
    stop: async () => {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}

/** Copies an image with skopeo: "oci:DIR" → "docker://localhost:5000/name:tag". */
export function skopeoCopy(from: string, to: string, ...options: string[]): void {
  run([
    "skopeo",
    "--insecure-policy",
    "copy",
    "--quiet",
    "--dest-tls-verify=false",
    "--src-tls-verify=false",
    ...options,
    from,
    to,
  ])
}
