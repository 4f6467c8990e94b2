import { expect, test } from "bun:test"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { candidates } from "../../../src/cli/completion.ts"
import { COMMANDS } from "../../../src/cli/usage.ts"
import { pathsFor } from "../../../src/paths.ts"
import { cleanUpAfterAll, temporaryDirectory } from "../../helpers/scratch.ts"

cleanUpAfterAll()

const root = temporaryDirectory()
for (const place of ["names", "networks", "volumes", "volumes/data"]) mkdirSync(`${root}/${place}`)
symlinkSync("0".repeat(64), `${root}/names/web`)
writeFileSync(`${root}/networks/inner.json`, JSON.stringify({ name: "inner" }))

/** What is offered for a line, sorted. */
const offered = (line: string) =>
  candidates(line.split(" "), COMMANDS, pathsFor(root))
    .map(({ word }) => word)
    .sort()

test.each([
  ["network ", ["connect", "create", "disconnect", "inspect", "ls", "prune", "reload", "rm"]],
  ["volume l", ["ls"]],
  ["cache ", ["ls", "prune", "rm"]],
  ["generate ", ["openrc", "systemd"]],
  ["completion ", ["bash", "fish", "zsh"]],
  ["sys", ["system"]],
  ["system ", ["df", "events", "info", "prune"]],
  ["image nonesuch ", []],
])("second words: %p", (line, words) => {
  expect(offered(line)).toEqual(words)
})

test.each([
  ["network rm ", ["inner"]],
  ["network rm inner ", ["inner"]],
  ["network connect ", ["inner"]],
  ["network connect inner ", ["web"]],
  ["network create ", []],
  ["network ls ", []],
  ["volume rm ", ["data"]],
  ["volume create ", []],
  ["generate systemd ", ["web"]],
  ["container rm -f ", ["web"]],
  ["inspect ", ["data", "web"]],
  ["inspect --type volume ", ["data"]],
  ["container inspect ", ["web"]],
  ["exec web ", []],
  ["cp ", ["web:"]],
  ["cp -a w", ["web:"]],
  ["cp file ", ["web:"]],
  ["cp web:/file ", []],
  ["container cp we", ["web:"]],
  ["push image ", []],
])("names: %p", (line, words) => {
  expect(offered(line)).toEqual(words)
})

test.each([
  ["--root /x netw", ["network"]],
  ["--debug --root=/x network rm ", ["inner"]],
  ["--root ", []],
  ["--ve", ["--version"]],
  ["pause --a", ["--all"]],
  ["unpause --l", ["--latest"]],
  ["container --root /x sto", ["stop"]],
  ["--debug container --ro", ["--root"]],
  ["--root /x container --debug rm we", ["web"]],
  ["container --root ", []],
])("behind options before the command: %p", (line, words) => {
  expect(offered(line)).toEqual(words)
})

test.each([
  ["run --net ", ["bridge", "host", "inner", "none"]],
  ["run --net=i", ["--net=inner"]],
  ["run --restart ", ["always", "no", "on-failure", "unless-stopped"]],
  ["update --restart=un", ["--restart=unless-stopped"]],
  ["container run --pull ", ["always", "missing", "never", "newer"]],
  ["run --volumes-from ", ["web"]],
  ["logs --tail ", ["all"]],
  ["kill -s US", ["USR1", "USR2"]],
  ["wait --condition ne", ["next-exit"]],
  ["run --cpu ", []],
  ["logs --since ", []],
  ["run --mount ", []],
  ["run --name ", []],
])("values of options: %p", (line, words) => {
  expect(offered(line)).toEqual(words)
})
