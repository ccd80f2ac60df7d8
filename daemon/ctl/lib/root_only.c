#include "ctl/lib/root_only.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

static bool is_roots(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The root directory, each directory below it, then the file. */
static bool is_roots_from_the_top(const char *path)
{
    bool is = is_roots("/");
    for (const char *end = path; is && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char *part = mem_strndup(path, (size_t)(end - path));
        is = is_roots(part);
        free(part);
    }
    return is;
}

int root_only_check(const char *path, struct err *err)
{
    char *real = realpath(path, NULL);
    if (!real)
        return err_set(err, "%s: %s", path, strerror(errno));
    bool is = is_roots_from_the_top(real) && (path[0] != '/' || is_roots_from_the_top(path));
    free(real);
    return is ? 0 : err_set(err, "%s is not only root's to change", path);
}
