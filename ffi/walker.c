/*
 * The walker: carries out a list of calls where JavaScript cannot run, between clone and exec.
 * STAGE_ONE is position independent and calls libc by address; STAGE_TWO is the text of a static ELF and makes raw
 * system calls. ffi/calls.ts writes the lists; the layouts below are repeated there. build/native.ts makes the bytes.
 * Two pieces more are for the parent: SINGLE_CALL makes one call, SIGNAL_HANDLER is one, where JavaScript cannot run either.
 */
typedef unsigned long u64;
typedef long s64;
typedef unsigned int u32;
typedef unsigned short u16;

enum { OP_CALL, OP_LOAD }; /* a load: ((word at arg[0] & arg[1]) | arg[2]) - arg[3] */
enum { CHECK_NONE, CHECK_MINUS_ONE, CHECK_NULL, CHECK_EQUAL };
enum { JUMP_NEVER, JUMP_EQUAL, JUMP_NOT_EQUAL };
enum { RESULT_INT = 1, REPORT_TOLERATED = 2 };

struct call {
  u64 target, arg[6]; /* libc address (stage one) or system call number (stage two) */
  s64 result;
  u32 op, check;
  u64 mask, expect; /* CHECK_EQUAL and the jumps compare result & mask with expect */
  u64 tolerate[2];  /* errnos that are no failure, as a bit set */
  u64 store;        /* the result is also written here */
  u32 err;
  u16 store_size, indirect; /* bit n of indirect: arg[n] is the address of the value */
  u16 jump, to, flags, index;
};

struct program {
  struct call *calls;
  u64 count, write, exit, errno_location;
  s64 pid; /* 0 in a child: it reports and exits instead of returning */
  s64 report_fd;
  u64 base; /* added to reported indexes: the stages share one pipe */
};

/* The linker puts this section first, so that the bytes begin with the entry point. */
#define ENTRY __attribute__((section(".text.startup"), used))

#if defined(STAGE_TWO) || defined(SIGNAL_HANDLER)
static inline s64 raw(u64 target, const u64 *a) {
#if defined(__x86_64__)
  register u64 r10 __asm__("r10") = a[3];
  register u64 r8 __asm__("r8") = a[4];
  register u64 r9 __asm__("r9") = a[5];
  s64 r;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(target), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return r;
#elif defined(__aarch64__)
  register u64 x8 __asm__("x8") = target;
  register u64 x0 __asm__("x0") = a[0];
  register u64 x1 __asm__("x1") = a[1];
  register u64 x2 __asm__("x2") = a[2];
  register u64 x3 __asm__("x3") = a[3];
  register u64 x4 __asm__("x4") = a[4];
  register u64 x5 __asm__("x5") = a[5];
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return (s64)x0;
#endif
}
#endif

/* The address of a function, wherever its code was copied to. */
#if defined(__x86_64__)
#define SYS_write 1
#define ADDRESS_OF(name) "lea " #name "(%%rip), %0"
#elif defined(__aarch64__)
#define SYS_write 64
#define ADDRESS_OF(name) "adr %0, " #name
#endif

#ifdef SIGNAL_HANDLER

/* Writes the signal's number to the descriptor that stands just before the code. No libc: errno is left alone. */
ENTRY void on_signal(int signo) {
  s64 *own;
  __asm__(ADDRESS_OF(on_signal) : "=r"(own));
  u64 a[6] = {(u64)own[-1], (u64)&signo, sizeof signo, 0, 0, 0};
  raw(SYS_write, a);
}
#elif defined(SINGLE_CALL)

/* A libc function's result, or minus errno: read here, because afterwards JavaScript's engine may have made calls of its own.
 * The address of __errno_location stands just before the code. */
ENTRY s64 single_call(u64 target, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 result_int) {
  u64 *own;
  __asm__(ADDRESS_OF(single_call) : "=r"(own));
  s64 r = ((s64(*)(u64, u64, u64, u64, u64, u64))target)(a0, a1, a2, a3, a4, a5);
  if (result_int) r = (int)r;
  return r == -1 ? -(s64) * ((int *(*)(void))own[-1])() : r;
}
#else

#ifdef STAGE_ONE
static inline s64 invoke(struct program *p, u64 target, const u64 *a, u32 *err) {
  s64 r = ((s64(*)(u64, u64, u64, u64, u64, u64))target)(a[0], a[1], a[2], a[3], a[4], a[5]);
  *err = (u32) * ((int *(*)(void))p->errno_location)();
  return r;
}
#else
static inline s64 invoke(struct program *p, u64 target, const u64 *a, u32 *err) {
  (void)p;
  s64 r = raw(target, a);
  if (r < 0 && r >= -4095) {
    *err = (u32)-r;
    return -1;
  }
  return r;
}
#endif

static inline void report(struct program *p, u64 index, u32 err) {
  u32 record[2] = {(u32)(p->base + index), err}, ignored;
  u64 a[6] = {(u64)p->report_fd, (u64)record, sizeof record, 0, 0, 0};
  invoke(p, p->write, a, &ignored);
}

static inline int failed(const struct call *c) {
  switch (c->check) {
  case CHECK_NONE: return 0;
  case CHECK_NULL: return c->result == 0;
  case CHECK_EQUAL: return ((u64)c->result & c->mask) != c->expect;
  default: return c->result == -1;
  }
}

/* Returns the index of the first failed call, or the number of calls. */
#ifdef STAGE_ONE
ENTRY u64 walk(struct program *p)
#else
static inline u64 walk(struct program *p)
#endif
{
  u64 i = 0;
  while (i < p->count) {
    struct call *c = &p->calls[i];
    u64 a[6];
    for (int n = 0; n < 6; n++) a[n] = c->indirect >> n & 1 ? *(u64 *)c->arg[n] : c->arg[n];
    c->err = 0;
    if (c->op == OP_LOAD) c->result = (s64)(((*(u64 *)a[0] & a[1]) | a[2]) - a[3]);
    else c->result = invoke(p, c->target, a, &c->err);
    if (c->flags & RESULT_INT) c->result = (int)c->result;
    if (c->store_size == 8) *(s64 *)c->store = c->result;
    else if (c->store_size == 4) *(u32 *)c->store = (u32)c->result;
    if (failed(c)) {
      int tolerated = c->err < 128 && (c->tolerate[c->err >> 6] >> (c->err & 63) & 1);
      if (!tolerated || c->flags & REPORT_TOLERATED) {
        if (p->pid == 0) report(p, i, c->err);
      }
      if (!tolerated) {
        if (p->pid != 0) return i;
        u32 ignored;
        u64 status[6] = {127, 0, 0, 0, 0, 0};
        invoke(p, p->exit, status, &ignored);
      }
    }
    int equal = ((u64)c->result & c->mask) == c->expect;
    i = c->jump == JUMP_EQUAL && equal || c->jump == JUMP_NOT_EQUAL && !equal ? c->to : i + 1;
  }
  return i;
}

#ifndef STAGE_ONE
/* ffi/sealed.ts lays the program out at this address. */
ENTRY __attribute__((noreturn)) void _start(void) {
  struct program *p = (struct program *)0x601000;
  u64 i = walk(p);
  u32 ignored;
  u64 status[6] = {127, 0, 0, 0, 0, 0};
  report(p, i, 0);
  for (;;) invoke(p, p->exit, status, &ignored);
}
#endif
#endif
