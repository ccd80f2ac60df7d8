/* Of mobeyectl setup: files, of which none is replaced in silence. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/setup.h"

enum { FILE_MAX = 1 << 20, OLD_ONES = 100 };

int setup_read(const char *path, struct buf *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : (ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno)), -1);
    ssize_t got = read(fd, buf_reserve(ret, FILE_MAX), FILE_MAX);
    close(fd);
    if (got < 0)
        return ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno)), -1;
    ret->len = (size_t)got;
    return 1;
}

static int write_file(const char *path, const struct buf *text)
{
    const struct group *group = getgrnam(SETUP_USER);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
    bool good = write(fd, text->data, text->len) == (ssize_t)text->len && fsync(fd) == 0;
    if (good && group && geteuid() == 0)
        good = fchown(fd, 0, group->gr_gid) == 0;
    close(fd);
    return good ? CTL_OK : ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
}

/* The old one stays under a name that is not taken yet. */
static int keep_old(const char *path, char before[4096])
{
    int linked = -1;
    for (int i = 0; linked < 0 && i < OLD_ONES; i++) {
        snprintf(before, 4096, i == 0 ? "%s.before-setup" : "%s.before-setup.%d", path, i);
        linked = link(path, before);
        if (linked < 0 && errno != EEXIST)
            break;
    }
    return linked == 0 ? CTL_OK : ctl_fail(SETUP_VERB, "%s: %s", before, strerror(errno));
}

static int replace_file(struct setup *s, const char *path, const char *made)
{
    char before[4096];
    if (keep_old(path, before) != CTL_OK)
        return CTL_FAILED;
    if (rename(made, path) < 0)
        return ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
    setup_did(s, "%s, changed; it was %s", path, before);
    return CTL_OK;
}

static int put_beside(struct setup *s, const char *path, const struct buf *text, setup_check *check)
{
    char made[4096];
    snprintf(made, sizeof(made), "%s.setup", path);
    unlink(made); /* one of an earlier run */
    int status = write_file(made, text);
    if (status != CTL_OK)
        return status;
    if (check && !check(made))
        return ctl_fail(SETUP_VERB, "%s has errors, see above", made);
    if (s->replace || setup_ask_yes(s, path, "is there, and has to be changed. Change it (the old one is kept)?"))
        return replace_file(s, path, made);
    setup_did(s, "%s", made);
    return ctl_fail(SETUP_VERB,
                    "%s is there, and stays as it is; diff it with %s, and move that over it, or say --replace", path,
                    made);
}

/* A file of its own, whole or not at all. */
static int put_new(struct setup *s, const char *path, const struct buf *text, setup_check *check)
{
    int status = write_file(path, text);
    if (status == CTL_OK && check && !check(path))
        status = ctl_fail(SETUP_VERB, "%s has errors, see above", path);
    if (status == CTL_OK)
        setup_did(s, "%s", path);
    return status;
}

int setup_put(struct setup *s, const char *path, const struct buf *old, const struct buf *text, setup_check *check)
{
    if (old && str_eq(buf_str(old), buf_str(text))) {
        setup_is(s, "%s says so", path);
        return !check || check(path) ? CTL_OK : ctl_fail(SETUP_VERB, "%s has errors, see above", path);
    }
    if (s->dry_run) {
        setup_did(s, "%s%s", path, old ? ", changed, where --replace says so" : "");
        return CTL_OK;
    }
    return (old ? put_beside : put_new)(s, path, text, check);
}
