/** Linux errno names by number: asm-generic/errno-base.h and errno.h, errno(3). */
const NAMES =
  "0 EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP 41 ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT 58 EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON"

let names: string[] | undefined
const table = () => (names ??= NAMES.split(" "))

/** The name of an errno number, e.g. 2 → "ENOENT". */
export function errnoName(errno: number): string {
  return table()[errno] ?? `errno ${errno}`
}

/** The number of an errno name, e.g. "ENOENT" → 2. */
export function errnoNumber(name: string): number {
  const number = table().indexOf(name)
  if (number <= 0) throw new RangeError(`unknown errno ${name}`)
  return number
}

/** A failed libc function or system call: its name, arguments as shown to people, and errno. */
export class SyscallError extends Error {
  override readonly name = "SyscallError"
  readonly syscall: string
  readonly errnoNumber: number
  readonly errno: string
  readonly detail: string

  constructor(syscall: string, errno: number, detail: string) {
    super(`${syscall}(${detail}): ${errnoName(errno)}`)
    this.syscall = syscall
    this.errnoNumber = errno
    this.errno = errnoName(errno)
    this.detail = detail
  }
}

/** Whether `error` is a SyscallError with one of the named errnos. */
export function isErrno(error: unknown, ...names: string[]): error is SyscallError {
  return error instanceof SyscallError && names.includes(error.errno)
}
