#include "ctl/lib/root_only.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

enum { LINKS_MAX = 40 };

/* The way to a file, as the kernel goes it. */
struct way {
    struct buf at; /* without links and a / at the end; "" is the root directory */
    uid_t user;    /* who may have written there too */
    bool is_place; /* the file at its end may be anybody's */
    unsigned links;
};

static int walk(struct way *way, const char *path);

/* 1: it is a link. Who owns one can replace it, whatever it leads to now. */
static int check_owner(const struct way *way, const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return -1;
    bool is_link = S_ISLNK(st.st_mode), shared = !is_link && (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (way->is_place && !is_link && !S_ISDIR(st.st_mode))
        return 0;
    if ((st.st_uid == 0 || st.st_uid == way->user) && !shared)
        return is_link;
    errno = EPERM;
    return -1;
}

static int follow(struct way *way, size_t directory)
{
    char target[PATH_MAX];
    ssize_t len = readlink(way->at.data, target, sizeof(target) - 1);
    if (len < 0)
        return -1;
    target[len] = '\0';
    way->at.len = target[0] == '/' ? 0 : directory;
    if (++way->links > LINKS_MAX) {
        errno = ELOOP;
        return -1;
    }
    return walk(way, target);
}

static int step(struct way *way, const char *name, size_t len)
{
    size_t directory = way->at.len;
    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        while (way->at.len > 0 && way->at.data[--way->at.len] != '/')
            ;
        return 0;
    }
    buf_append(&way->at, "/", 1);
    buf_append(&way->at, name, len);
    buf_append(&way->at, "", 1);
    way->at.len--;
    int is_link = check_owner(way, way->at.data);
    return is_link > 0 ? follow(way, directory) : is_link;
}

static int walk(struct way *way, const char *path)
{
    int rc = 0;
    while (rc == 0 && *(path += strspn(path, "/"))) {
        size_t len = strcspn(path, "/");
        rc = step(way, path, len);
        path += len;
    }
    return rc;
}

static int check_way(struct way *way, const char *path, struct err *err)
{
    int rc = -1, why = EINVAL;
    if (path[0] == '/') {
        rc = check_owner(way, "/") < 0 ? -1 : walk(way, path);
        why = rc < 0 ? errno : 0;
    }
    buf_free(&way->at);
    if (why == EINVAL)
        err_set(err, "%s is not an absolute path", path);
    else if (why == EPERM)
        err_set(err, "%s is not only %s to change", path, way->user == 0 ? "root's" : "root's or yours");
    else if (why != 0)
        err_set(err, "%s: %s", path, strerror(why));
    errno = why;
    return rc;
}

int root_only_check(const char *path, struct err *err)
{
    return check_way(&(struct way){.user = 0}, path, err);
}

int root_only_check_for(uid_t user, const char *path, struct err *err)
{
    return check_way(&(struct way){.user = user}, path, err);
}

int root_only_check_place(const char *path, struct err *err)
{
    int rc = check_way(&(struct way){.is_place = true}, path, err);
    return rc < 0 && errno != ENOENT ? -1 : 0;
}
