/* Loaded before libc: a call on a file whose path holds FAULT_PATH fails with FAULT_ERRNO, once
   FAULT_FILE is there, which it removes. FAULT_CALL: write, fsync (fdatasync too) or close. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char *call, int descriptor) {
    const char *wanted = getenv("FAULT_CALL"), *path = getenv("FAULT_PATH"), *file = getenv("FAULT_FILE");
    char link[64], name[4096];
    ssize_t size;
    if (!wanted || !path || !file || strcmp(call, wanted) || access(file, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    size = readlink(link, name, sizeof name - 1);
    if (size < 0) return 0;
    name[size] = 0;
    if (!strstr(name, path)) return 0;
    if (unlink(file)) return 0;
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

int fsync(int d) { return fails("fsync", d) ? -1 : REAL(int, "fsync", int)(d); }
int fdatasync(int d) { return fails("fsync", d) ? -1 : REAL(int, "fdatasync", int)(d); }

ssize_t write(int d, const void *data, size_t size) {
    return fails("write", d) ? -1 : REAL(ssize_t, "write", int, const void *, size_t)(d, data, size);
}

ssize_t pwrite64(int d, const void *data, size_t size, off64_t at) {
    if (fails("write", d)) return -1;
    return REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(d, data, size, at);
}

ssize_t pwrite(int d, const void *data, size_t size, off_t at) {
    if (fails("write", d)) return -1;
    return REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)(d, data, size, at);
}

int close(int d) {
    if (!fails("close", d)) return REAL(int, "close", int)(d);
    int number = errno;
    REAL(int, "close", int)(d);
    errno = number;
    return -1;
}
