import { expect, test } from "bun:test"
import { errnoNumber, SyscallError } from "../../ffi/errno.ts"
import { errorHint } from "../../src/errors.ts"

const hintOf = (call: string, errno: string) => errorHint(new SyscallError(call, errnoNumber(errno), '"/state/file"'))

test.each([
  ["open", "EROFS", "read-only"],
  ["mkdir", "EROFS", "read-only"],
  ["unlink", "EROFS", "read-only"],
  ["openat", "ENOSPC", "disk is full"],
  ["mkdir", "EDQUOT", "disk is full"],
  ["write", "EFBIG", "ulimit -f"],
  ["open", "EMFILE", "ulimit -n"],
])("%s: %s has a remedy", (call, errno, hint) => {
  expect(hintOf(call, errno)).toContain(hint)
})

test("what means something else elsewhere has none", () => {
  expect(hintOf("unshare", "ENOSPC")).toBeUndefined()
  expect(hintOf("inotify_add_watch", "ENOSPC")).toBeUndefined()
})
