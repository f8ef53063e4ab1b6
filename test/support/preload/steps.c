/*
 * Counts what one process does to the files of a directory, step by step, and kills it at one of the steps: loaded before
 * the C library (LD_PRELOAD) in tests. A step is a call that changes a file or flushes one. LMDB's lock table is left out:
 * it is memory, and nothing of it outlives a process.
 *
 *   NARVAL_TEST_STEPS_IN     the directory
 *   NARVAL_TEST_STEPS_KILL   a number: the process is killed before its n-th step
 *   NARVAL_TEST_STEPS_TORN   set: of the n-th step, if it writes several pages, half of the pages are written before
 *   NARVAL_TEST_STEPS_FLUSH  ms that a flush of LMDB's file takes longer
 *
 * On stderr it says at which step it was killed, or how many there were.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static long steps = 0;

static long number(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : atol(text);
}

/* The path within the directory, or NULL. */
static const char *within(const char *path) {
  const char *directory = getenv("NARVAL_TEST_STEPS_IN");
  size_t length = directory == NULL ? 0 : strlen(directory);
  if (length == 0 || path == NULL || strncmp(path, directory, length) != 0) return NULL;
  if (strstr(path, "lock.mdb") != NULL) return NULL;
  return path[length] == '/' ? path + length + 1 : path[length] == 0 ? "." : NULL;
}

static const char *within_fd(int fd, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return within(path);
}

static void killed(long step, const char *call, const char *file, const char *how) {
  dprintf(2, "killed %ld %s %s%s\n", step, call, file, how);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* One more step; true if it is the one at which the process is to be killed. */
static int is_last(long *step) {
  *step = __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST);
  return *step == number("NARVAL_TEST_STEPS_KILL");
}

static void step_on(const char *call, const char *file) {
  long step;
  if (file != NULL && is_last(&step)) killed(step, call, file, "");
}

__attribute__((destructor)) static void ended(void) {
  if (getenv("NARVAL_TEST_STEPS_IN") != NULL) dprintf(2, "ended %ld\n", steps);
}

#define REAL(name, ...) ((__VA_ARGS__)dlsym(RTLD_NEXT, name))

/* Writes the first half of the pages, if it is to, and is killed. */
static void write_step(const char *call, int fd, const struct iovec *parts, int count, off_t position) {
  char path[PATH_MAX];
  const char *file = within_fd(fd, path);
  long step;
  if (file == NULL || !is_last(&step)) return;
  size_t bytes = 0;
  for (int n = 0; n < count; n += 1) bytes += parts[n].iov_len;
  size_t half = bytes / 2 / PAGE * PAGE;
  if (getenv("NARVAL_TEST_STEPS_TORN") == NULL || half == 0) killed(step, call, file, "");
  ssize_t (*real)(int, const void *, size_t, off_t) = REAL("pwrite64", ssize_t(*)(int, const void *, size_t, off_t));
  for (int n = 0; n < count && half > 0; n += 1) {
    size_t part = parts[n].iov_len < half ? parts[n].iov_len : half;
    real(fd, parts[n].iov_base, part, position);
    position += part;
    half -= part;
  }
  killed(step, call, file, " torn");
}

#define PWRITE(name)                                                                              \
  ssize_t name(int fd, const void *bytes, size_t length, off_t position) {                        \
    struct iovec part = {(void *)bytes, length};                                                  \
    write_step("write", fd, &part, 1, position);                                                  \
    return REAL(#name, ssize_t(*)(int, const void *, size_t, off_t))(fd, bytes, length, position); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                                    \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t position) {                           \
    write_step("write", fd, parts, count, position);                                                     \
    return REAL(#name, ssize_t(*)(int, const struct iovec *, int, off_t))(fd, parts, count, position);    \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

ssize_t write(int fd, const void *bytes, size_t length) {
  struct iovec part = {(void *)bytes, length};
  write_step("write", fd, &part, 1, lseek(fd, 0, SEEK_CUR));
  return REAL("write", ssize_t(*)(int, const void *, size_t))(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  write_step("write", fd, parts, count, lseek(fd, 0, SEEK_CUR));
  return REAL("writev", ssize_t(*)(int, const struct iovec *, int))(fd, parts, count);
}

#define FLUSH(name)                                                       \
  int name(int fd) {                                                      \
    char path[PATH_MAX];                                                  \
    const char *file = within_fd(fd, path);                               \
    step_on("flush", file);                                               \
    if (file != NULL && strcmp(file, "data.mdb") == 0) usleep(number("NARVAL_TEST_STEPS_FLUSH") * 1000); \
    return REAL(#name, int (*)(int))(fd);                                 \
  }
FLUSH(fsync)
FLUSH(fdatasync)

#define TRUNCATE(name)                                     \
  int name(int fd, off_t length) {                         \
    char path[PATH_MAX];                                   \
    step_on("truncate", within_fd(fd, path));              \
    return REAL(#name, int (*)(int, off_t))(fd, length);   \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* Only what makes a file is a step. */
static void open_step(const char *path, int flags) {
  struct stat found;
  const char *file = (flags & O_CREAT) ? within(path) : NULL;
  if (file != NULL && stat(path, &found) != 0) step_on("create", file);
}

#define OPEN(name)                                                       \
  int name(const char *path, int flags, ...) {                           \
    va_list arguments;                                                   \
    va_start(arguments, flags);                                          \
    mode_t mode = (flags & O_CREAT) ? va_arg(arguments, mode_t) : 0;     \
    va_end(arguments);                                                   \
    open_step(path, flags);                                              \
    return REAL(#name, int (*)(const char *, int, ...))(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

int unlink(const char *path) {
  step_on("remove", within(path));
  return REAL("unlink", int (*)(const char *))(path);
}

int link(const char *from, const char *to) {
  step_on("link", within(to));
  return REAL("link", int (*)(const char *, const char *))(from, to);
}

int rename(const char *from, const char *to) {
  step_on("rename", within(from));
  return REAL("rename", int (*)(const char *, const char *))(from, to);
}

int mkdir(const char *path, mode_t mode) {
  step_on("mkdir", within(path));
  return REAL("mkdir", int (*)(const char *, mode_t))(path, mode);
}
