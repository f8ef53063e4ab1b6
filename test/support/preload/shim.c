/*
 * What a machine does not have, or does wrong, for one process: loaded before the C library (LD_PRELOAD) in tests.
 *
 *   NARVAL_TEST_HOSTS  a file of lines "name address" or "name ENOTFOUND|EAI_AGAIN|hang", read at each getaddrinfo
 *   NARVAL_TEST_MMAP   an errno: shared mappings of files with .mdb in their names fail with it, and file systems are of type 9p
 *   NARVAL_TEST_LOCK   an errno: locks on files fail with it
 *   NARVAL_TEST_FLUSH  a file: while it is there, flushes of such files fail with EIO
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

static int number(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : atoi(text);
}

static int is_store(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strstr(path, ".mdb") != NULL;
}

/* What the file has for a name; an empty text if it has nothing. */
static void look_up(const char *path, const char *wanted, char address[256]) {
  char name[256];
  FILE *hosts = fopen(path, "r");
  address[0] = 0;
  if (hosts == NULL) return;
  while (fscanf(hosts, "%255s %255s", name, address) == 2 && strcmp(name, wanted) != 0) address[0] = 0;
  fclose(hosts);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
  const char *path = getenv("NARVAL_TEST_HOSTS");
  char address[256] = "";
  if (path != NULL && node != NULL) look_up(path, node, address);
  if (address[0] == 0) return real(node, service, hints, found);
  /* Until the file has something else. */
  while (strcmp(address, "hang") == 0) {
    usleep(100000);
    look_up(path, node, address);
  }
  if (address[0] == 0 || strcmp(address, "ENOTFOUND") == 0) return EAI_NONAME;
  return strcmp(address, "EAI_AGAIN") == 0 ? EAI_AGAIN : real(address, service, hints, found);
}

static void *map(const char *symbol, void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, symbol);
  int failure = number("NARVAL_TEST_MMAP");
  if (failure != 0 && (flags & MAP_SHARED) && fd >= 0 && is_store(fd)) {
    errno = failure;
    return MAP_FAILED;
  }
  return real(at, size, protection, flags, fd, offset);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  return map("mmap", at, size, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  return map("mmap64", at, size, protection, flags, fd, offset);
}

#define STATFS(name, type)                                              \
  int name(const char *path, struct type *found) {                       \
    int (*real)(const char *, struct type *) = dlsym(RTLD_NEXT, #name);  \
    int result = real(path, found);                                      \
    if (result == 0 && number("NARVAL_TEST_MMAP") != 0) found->f_type = 0x01021997; \
    return result;                                                       \
  }
STATFS(statfs, statfs)
STATFS(statfs64, statfs64)

static int control(const char *symbol, int fd, int command, void *argument) {
  int (*real)(int, int, ...) = dlsym(RTLD_NEXT, symbol);
  int failure = number("NARVAL_TEST_LOCK");
  if (failure != 0 && (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW)) {
    errno = failure;
    return -1;
  }
  return real(fd, command, argument);
}

#define CONTROL(name)                          \
  int name(int fd, int command, ...) {         \
    va_list arguments;                         \
    va_start(arguments, command);              \
    void *argument = va_arg(arguments, void *); \
    va_end(arguments);                         \
    return control(#name, fd, command, argument); \
  }
CONTROL(fcntl)
CONTROL(fcntl64)

int flock(int fd, int operation) {
  int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
  if (number("NARVAL_TEST_LOCK") == 0) return real(fd, operation);
  errno = number("NARVAL_TEST_LOCK");
  return -1;
}

static int fails_to_flush(void) {
  const char *path = getenv("NARVAL_TEST_FLUSH");
  return path != NULL && access(path, F_OK) == 0;
}

#define FLUSH(name)                                    \
  int name(int fd) {                                   \
    int (*real)(int) = dlsym(RTLD_NEXT, #name);        \
    if (!fails_to_flush() || !is_store(fd)) return real(fd); \
    errno = EIO;                                       \
    return -1;                                         \
  }
FLUSH(fsync)
FLUSH(fdatasync)

int msync(void *at, size_t size, int flags) {
  int (*real)(void *, size_t, int) = dlsym(RTLD_NEXT, "msync");
  if (!fails_to_flush()) return real(at, size, flags);
  errno = EIO;
  return -1;
}
