/* Preloaded into a process: its wall clock is off by the whole seconds in the file $CLOCK_OFFSET.

   Only CLOCK_REALTIME moves, as when somebody sets a machine's clock; libfaketime moves or breaks
   the monotonic clock of Python's sleep too. No headers, so that a bare compiler is enough. */

#if defined(__x86_64__)
#define SYS_CLOCK_GETTIME 228
#elif defined(__aarch64__)
#define SYS_CLOCK_GETTIME 113
#endif

struct timespec {
  long seconds, nanoseconds;
};
struct timeval {
  long seconds, microseconds;
};

extern long syscall(long number, ...);
extern int open(const char *path, int flags, ...);
extern long read(int descriptor, void *data, unsigned long size);
extern int close(int descriptor);
extern char *getenv(const char *name);
extern long atol(const char *text);

static long offset(void) {
  char text[32] = {0};
  const char *path = getenv("CLOCK_OFFSET");
  int file = path ? open(path, 0) : -1;
  if (file < 0) return 0;
  if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
  close(file);
  return atol(text);
}

int clock_gettime(int clock, struct timespec *now) {
  int failed = (int)syscall(SYS_CLOCK_GETTIME, clock, now);
  if (!failed && clock == 0) now->seconds += offset();
  return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
  struct timespec precise;
  int failed = clock_gettime(0, &precise);
  (void)zone;
  now->seconds = precise.seconds;
  now->microseconds = precise.nanoseconds / 1000;
  return failed;
}

long time(long *into) {
  struct timespec now;
  clock_gettime(0, &now);
  if (into) *into = now.seconds;
  return now.seconds;
}
