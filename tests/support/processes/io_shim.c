/* Makes one system call on files of a store fail, or calls of a kind hang, for a process that has this preloaded.
 *
 * PERDURE_SHIM_PATH   a part of the path of the files that count
 * PERDURE_SHIM_CALL   open, read, write, sync, truncate, unlink or rename
 * PERDURE_SHIM_NTH    which one of these fails; 1 is the first; 0: none, only count
 * PERDURE_SHIM_ERRNO  with which number; writes may be cut in half with -1
 * PERDURE_SHIM_LAST   1: all that come after it fail too, as on a disk that is gone
 * PERDURE_SHIM_HANG   as long as there is a file of this name, calls of that kind do not return
 * PERDURE_SHIM_COUNT  a file that gets the number of calls that were seen, when the process ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long seen;

static const char *setting(const char *name) { const char *value = getenv(name); return value ? value : ""; }

static int is_ours(const char *path) {
    const char *part = setting("PERDURE_SHIM_PATH");
    return *part && path && strstr(path, part) != NULL;
}

static int is_ours_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

/* Whether this call is to fail. */
static int fails(const char *call) {
    if (strcmp(call, setting("PERDURE_SHIM_CALL")) != 0) return 0;
    while (*setting("PERDURE_SHIM_HANG") && access(setting("PERDURE_SHIM_HANG"), F_OK) == 0) usleep(5000);
    long nth = atol(setting("PERDURE_SHIM_NTH"));
    pthread_mutex_lock(&lock);
    long now = ++seen;
    pthread_mutex_unlock(&lock);
    return nth && (now == nth || (now > nth && atoi(setting("PERDURE_SHIM_LAST"))));
}

static int failed(void) { errno = atoi(setting("PERDURE_SHIM_ERRNO")); if (errno <= 0) errno = EIO; return -1; }
static int is_cut(void) { return atoi(setting("PERDURE_SHIM_ERRNO")) < 0; }

__attribute__((destructor)) static void tell(void) {
    const char *name = setting("PERDURE_SHIM_COUNT");
    if (!*name) return;
    FILE *file = fopen(name, "w");
    if (file) { fprintf(file, "%ld", seen); fclose(file); }
}

#define REAL(type, name) static type (*real_##name)(); if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        if (is_ours(path) && fails("open")) return failed(); \
        return real_##name(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define PREAD(name) \
    ssize_t name(int fd, void *data, size_t size, off_t offset) { \
        REAL(ssize_t, name); \
        if (is_ours_fd(fd) && fails("read")) return failed(); \
        return real_##name(fd, data, size, offset); \
    }
PREAD(pread)
PREAD(pread64)

ssize_t read(int fd, void *data, size_t size) {
    REAL(ssize_t, read);
    if (is_ours_fd(fd) && fails("read")) return failed();
    return real_read(fd, data, size);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t size, off_t offset) { \
        REAL(ssize_t, name); \
        if (is_ours_fd(fd) && fails("write")) { \
            if (is_cut() && size > 1) return real_##name(fd, data, size / 2, offset); \
            return failed(); \
        } \
        return real_##name(fd, data, size, offset); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write);
    if (is_ours_fd(fd) && fails("write")) {
        if (is_cut() && size > 1) return real_write(fd, data, size / 2);
        return failed();
    }
    return real_write(fd, data, size);
}

#define SYNC(name) \
    int name(int fd) { \
        REAL(int, name); \
        if (is_ours_fd(fd) && fails("sync")) return failed(); \
        return real_##name(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name) \
    int name(int fd, off_t size) { \
        REAL(int, name); \
        if (is_ours_fd(fd) && fails("truncate")) return failed(); \
        return real_##name(fd, size); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int unlink(const char *path) {
    REAL(int, unlink);
    if (is_ours(path) && fails("unlink")) return failed();
    return real_unlink(path);
}

int rename(const char *from, const char *to) {
    REAL(int, rename);
    if (is_ours(to) && fails("rename")) return failed();
    return real_rename(from, to);
}
