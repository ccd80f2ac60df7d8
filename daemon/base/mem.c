#include "base/mem.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static void *abort_if_null(void *memory, size_t size)
{
    if (!memory) {
        log_error("memory", "cannot allocate %zu bytes", size);
        abort();
    }
    return memory;
}

void *mem_zalloc(size_t size)
{
    return abort_if_null(calloc(1, size ? size : 1), size);
}

void *mem_realloc(void *old, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        return abort_if_null(NULL, SIZE_MAX);
    return abort_if_null(realloc(old, bytes ? bytes : 1), bytes);
}

char *mem_strdup(const char *text)
{
    return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_strndup(const char *bytes, size_t len)
{
    char *copy = mem_realloc(NULL, len + 1, 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

char *mem_vprintf(const char *fmt, va_list args)
{
    char *text;
    return abort_if_null(vasprintf(&text, fmt, args) < 0 ? NULL : text, strlen(fmt));
}

char *mem_printf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = mem_vprintf(fmt, args);
    va_end(args);
    return text;
}

size_t mem_resident_bytes(void)
{
    /* Stays open: the memory limit must work even when no descriptors are left. */
    static int fd = -1;
    char text[128];
    if (fd < 0)
        fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    unsigned long pages = 0;
    text[len > 0 ? len : 0] = '\0';
    return sscanf(text, "%*u %lu", &pages) == 1 ? pages * (size_t)sysconf(_SC_PAGESIZE) : 0;
}
