/* Calls of the file system below SLOW_FOLDER that take SLOW_MS longer, as on a busy shared disk.

   cc -shared -fPIC -o slow_files.so slow_files.c -ldl; LD_PRELOAD=slow_files.so SLOW_FOLDER=/tmp/run SLOW_MS=5 program */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static long calls;

long slow_calls(void) { return calls; }

static void wait_if_below(const char *path) {
    const char *folder = getenv("SLOW_FOLDER"), *ms = getenv("SLOW_MS");
    if (!folder || !ms || !path || strncmp(path, folder, strlen(folder))) return;
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    double seconds = atof(ms) * 1e-3;
    struct timespec pause = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define OPENING(name)                                                      \
    int name(const char *path, int flags, ...) {                           \
        va_list rest;                                                      \
        va_start(rest, flags);                                             \
        mode_t mode = va_arg(rest, mode_t);                                \
        va_end(rest);                                                      \
        wait_if_below(path);                                               \
        return REAL(int, name, const char *, int, mode_t)(path, flags, mode); \
    }
OPENING(open)
OPENING(open64)

#define STAT(name, buffer)                                                 \
    int name(const char *path, struct buffer *result) {                    \
        wait_if_below(path);                                               \
        return REAL(int, name, const char *, struct buffer *)(path, result); \
    }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)

#define ONE_PATH(type, name)                                               \
    type name(const char *path) {                                          \
        wait_if_below(path);                                               \
        return REAL(type, name, const char *)(path);                       \
    }
ONE_PATH(int, unlink)
ONE_PATH(int, rmdir)
ONE_PATH(DIR *, opendir)

int rename(const char *from, const char *to) {
    wait_if_below(to);
    return REAL(int, rename, const char *, const char *)(from, to);
}

int mkdir(const char *path, mode_t mode) {
    wait_if_below(path);
    return REAL(int, mkdir, const char *, mode_t)(path, mode);
}

int fsync(int file) {
    const char *ms = getenv("SLOW_MS");
    wait_if_below(ms ? getenv("SLOW_FOLDER") : NULL);
    return REAL(int, fsync, int)(file);
}
