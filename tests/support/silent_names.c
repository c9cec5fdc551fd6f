/* Preloaded into a process: names that end in ".silent" are asked of a name server that never
   answers, so their look-up lasts as long as the C library's patience, here $SILENT_SECONDS.

   No headers, so that a bare compiler is enough. */

struct addrinfo;

extern void *dlsym(void *handle, const char *name);
extern char *getenv(const char *name);
extern unsigned sleep(unsigned seconds);
extern int atoi(const char *text);

static int is_silent(const char *name) {
  const char *end = ".silent";
  const char *place = name;
  const char *from = end;
  while (*place) place++;
  while (*from) from++;
  while (from > end) {
    if (place == name || *--place != *--from) return 0;
  }
  return 1;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (name && is_silent(name)) {
    const char *seconds = getenv("SILENT_SECONDS");
    unsigned left = seconds ? (unsigned)atoi(seconds) : 30;
    while (left) left = sleep(left);
    return -3; /* EAI_AGAIN: no name server answered */
  }
  next = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
      (void *)-1, "getaddrinfo");
  return next(name, service, hints, found);
}
