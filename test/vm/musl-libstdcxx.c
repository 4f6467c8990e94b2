/* What libstdc++ and libgcc, made for glibc, want of it that musl has under other names or not at all. */
typedef unsigned long size_t;

extern size_t strftime_l(char *, size_t, const char *, const void *, void *);
extern long getrandom(void *, size_t, unsigned);

char __libc_single_threaded;
unsigned __cpu_model[16];

int __cpu_indicator_init(void) { return 0; }

/* Destructors of threads' variables: the process ends without them. */
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso) { return 0; }

/* No unwinding: no exception is thrown. */
int _dl_find_object(void *address, void *result) { return -1; }

size_t __strftime_l(char *text, size_t size, const char *format, const void *time, void *locale)
{
	return strftime_l(text, size, format, time, locale);
}

unsigned arc4random(void)
{
	unsigned number = 0;
	getrandom(&number, sizeof number, 0);
	return number;
}
