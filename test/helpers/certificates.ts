import { writeFileSync } from "node:fs"
import { join } from "node:path"

/** Paths of files in PEM form. */
export interface Certificates {
  ca: string
  certificate: string
  key: string
}

/** Makes a CA and a server's certificate for an IP address with openssl, in `dir`. */
export function makeCertificates(dir: string, address: string): Certificates {
  const at = (name: string) => join(dir, name)
  const openssl = (...words: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(["timeout", "-k", "2", "20", "openssl", ...words])
    if (exitCode !== 0) throw new Error(`openssl ${words.join(" ")}: ${stderr}`)
  }
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
  writeFileSync(at("extensions"), `subjectAltName=IP:${address}\n`)
  openssl("req", "-x509", ...key, "-keyout", at("ca.key"), "-out", at("ca.pem"), "-subj", "/CN=test CA", "-days", "2")
  openssl("req", ...key, "-keyout", at("server.key"), "-out", at("server.csr"), "-subj", `/CN=${address}`)
  const by = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("extensions")]
  openssl("x509", "-req", "-in", at("server.csr"), ...by, "-out", at("server.pem"), "-days", "2")
  return { ca: at("ca.pem"), certificate: at("server.pem"), key: at("server.key") }
}
