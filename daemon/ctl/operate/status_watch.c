#include "ctl/operate/status_watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/operate/watch_cursor.h"

/* The number of lines of a file that are not empty; 0 if there is none. */
static size_t count_lines(const char *file)
{
    char bytes[65536], before = '\n';
    size_t n = 0;
    ssize_t len;
    int fd = cursor_open(file);
    while (fd >= 0 && (len = read(fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < len; before = bytes[i++])
            n += before == '\n' && bytes[i] != '\n';
    if (fd >= 0)
        close(fd);
    return n;
}

static void read_one(struct status_watch *ret, const char *directory, const char *name, double last_change)
{
    char path[PATH_MAX];
    struct err err;
    int64_t after;
    bool found = false;
    *ret = (struct status_watch){.after = NAN, .behind = NAN};
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    ret->readable = access(path, R_OK | X_OK) == 0;
    snprintf(path, sizeof(path), "%s/%s/dead-letter", directory, name);
    ret->dead = count_lines(path);
    snprintf(path, sizeof(path), "%s/%s/dead-letter.retrying", directory, name); /* of an interrupted --retry */
    ret->dead += count_lines(path);
    snprintf(path, sizeof(path), "%s/%s/cursor", directory, name);
    if (cursor_read(path, &found, &after, &err) == 0 && found) {
        ret->after = (double)after;
        ret->behind = last_change < ret->after ? 0 : last_change - ret->after;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct status_watch *)a)->name, ((const struct status_watch *)b)->name);
}

void status_watches_read(struct status_watches *ret, const char *directory, double last_change)
{
    const struct dirent *entry;
    DIR *dir = opendir(directory);
    *ret = (struct status_watches){0};
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        ret->list = mem_realloc(ret->list, ret->n + 1, sizeof(*ret->list));
        read_one(&ret->list[ret->n++], directory, entry->d_name, last_change);
    }
    if (dir)
        closedir(dir);
    if (ret->n > 0)
        qsort(ret->list, ret->n, sizeof(*ret->list), by_name);
}
