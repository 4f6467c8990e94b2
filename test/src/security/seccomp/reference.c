/*
 * The same profile by libseccomp. Reads lines of words, writes the filter to standard output:
 *   init VALUE            the default action, as a filter returns it
 *   native                keep the machine's own architecture, which is removed otherwise
 *   arch NAME             x86_64, x32, x86, aarch64, arm
 *   rule VALUE NAME {INDEX OP A B}   unknown names are skipped
 * Arguments: "names" prints those names of standard input that libseccomp knows.
 */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t action(uint32_t value) {
  if ((value & 0xffff0000) == 0x7ff00000) return SCMP_ACT_TRACE(value & 0xffff);
  return value;
}

int main(int argc, char **argv) {
  char line[4096], name[256], op[32];
  if (argc > 1 && strcmp(argv[1], "names") == 0) {
    while (scanf("%255s", name) == 1)
      if (seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR) puts(name);
    return 0;
  }
  scmp_filter_ctx filter = NULL;
  int native = 0;
  uint32_t value, initial = 0;
  while (fgets(line, sizeof line, stdin)) {
    int used = 0, failed = 0;
    if (sscanf(line, "init %u", &initial) == 1) filter = seccomp_init(action(initial));
    else if (strncmp(line, "native", 6) == 0) native = 1;
    else if (sscanf(line, "arch %255s", name) == 1) failed = seccomp_arch_add(filter, seccomp_arch_resolve_name(name));
    else if (sscanf(line, "rule %u %255s%n", &value, name, &used) == 2) {
      if (!native) failed = seccomp_arch_remove(filter, seccomp_arch_native());
      native = 1;
      struct scmp_arg_cmp args[6];
      unsigned count = 0, index;
      unsigned long long a, b;
      int step;
      for (char *rest = line + used; sscanf(rest, "%u %31s %llu %llu%n", &index, op, &a, &b, &step) == 4; rest += step) {
        static const char *const names[] = {"", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"};
        int which = 1;
        while (strcmp(names[which], op) != 0) which++;
        args[count++] = (struct scmp_arg_cmp){index, which, a, b};
      }
      int number = seccomp_syscall_resolve_name(name);
      if (number == __NR_SCMP_ERROR || action(value) == action(initial)) continue;
      failed = seccomp_rule_add_array(filter, action(value), number, count, args);
    }
    if (failed != 0) {
      fprintf(stderr, "%d: %s", failed, line);
      return 1;
    }
  }
  return seccomp_export_bpf(filter, 1) == 0 ? 0 : 1;
}
