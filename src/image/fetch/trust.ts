/** The certificates that servers are verified by. */
import { X509Certificate } from "node:crypto"
import { rootCertificates } from "node:tls"
import { readText, tryReadText } from "../../../ffi/fs.ts"
import { fileFault, UsageError } from "../../errors.ts"

// Debian and Alpine, Fedora, SUSE.
const BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"]

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The certificates in a file of PEM. Throws UsageError that names `option` where there is none, or a broken one. */
function readCertificates(option: string, path: string): string[] {
  let found: string[]
  try {
    found = readText(path).match(CERTIFICATE) ?? []
    for (const pem of found) new X509Certificate(pem)
  } catch (error) {
    throw new UsageError(`${option}: ${path} cannot be read as certificates`, { cause: fileFault(error) })
  }
  if (found.length === 0) throw new UsageError(`${option}: ${path} holds no certificate in PEM form`)
  return found
}

/**
 * What is trusted: the machine's own bundle (or the one that SSL_CERT_FILE names, as OpenSSL has it; where there is none,
 * Mozilla's that comes with Bun), and the certificates of `extra` files besides. Throws UsageError.
 */
export function trustedCertificates(extra: readonly string[] = []): string[] {
  const named = process.env.SSL_CERT_FILE
  const own = extra.flatMap((path) => readCertificates("--ca", path))
  if (named) return [...readCertificates("SSL_CERT_FILE", named), ...own]
  for (const path of BUNDLES) {
    const bundle = tryReadText(path)
    if (bundle?.includes("-----BEGIN CERTIFICATE-----")) return [bundle, ...own]
  }
  return [...rootCertificates, ...own]
}
