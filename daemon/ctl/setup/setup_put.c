/* mobeyectl setup: writes files; none is replaced silently. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/root_only.h"
#include "ctl/setup/setup.h"

enum { FILE_MAX = 1 << 20, OLD_ONES = 100 };

char *setup_beside(const char *file, const char *name)
{
    char *directory = mem_strdup(file), *slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    char *real = realpath(slash ? directory : ".", NULL);
    char *path = mem_printf("%s/%s", real ? real : slash ? directory : ".", name);
    free(real);
    free(directory);
    return path;
}

char *setup_resolve_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    return setup_beside(path, slash ? slash + 1 : path);
}

bool setup_is_same_path(const char *a, const char *b)
{
    char *one = setup_resolve_directory(a), *other = setup_resolve_directory(b);
    bool same = strcmp(one, other) == 0;
    free(one);
    free(other);
    return same;
}

static int fail_file(const char *path, int why)
{
    return ctl_fail(SETUP_VERB, "%s: %s%s", path, strerror(why),
                    why == EACCES && geteuid() != 0 ? " (run it as root)" : "");
}

int setup_read(const char *path, struct buf *ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO would wait for a writer */
    if (fd < 0)
        return errno == ENOENT ? 0 : (fail_file(path, errno), -1);
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    int why = regular && file_read(fd, FILE_MAX, ret) == 0 ? 0 : errno;
    close(fd);
    if (!regular)
        return ctl_fail(SETUP_VERB, "%s is not a regular file", path), -1;
    return why == 0 ? 1 : (fail_file(path, why), -1);
}

int setup_check_place(const char *path)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *absolute = mem_printf("%s%s%s", here ? here : "", here ? "/" : "", path);
    struct err err;
    bool is_roots = geteuid() != 0 || !getpwnam(CONNECT_DAEMON_USER) || root_only_check_place(absolute, &err) == 0;
    free(here);
    free(absolute);
    return is_roots ? CTL_OK
                    : ctl_fail(SETUP_VERB, "%s (expected a file below /etc, where only root can write)", err.text);
}

static bool hand_over(int fd, const char *name, bool secret)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(name) : NULL;
    return (!user || fchown(fd, secret ? user->pw_uid : 0, user->pw_gid) == 0) &&
           fchmod(fd, secret ? 0600 : 0640) == 0; /* independent of the umask */
}

/* Replaces a file left by an earlier run. */
static int write_file(const char *path, struct str text, const char *user, bool secret)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && hand_over(fd, user, secret) && file_write(fd, text) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return good ? CTL_OK : fail_file(path, why);
}

static int move_into_place(const char *temp, const char *path)
{
    return file_rename(AT_FDCWD, temp, path) == 0 ? CTL_OK : fail_file(path, errno);
}

/* real: the file to replace; if the path is a link, its target. temp: a name next to it. */
static void name_files(const char *path, char real[PATH_MAX], char temp[4096])
{
    if (!realpath(path, real))
        snprintf(real, PATH_MAX, "%s", path);
    snprintf(temp, 4096, "%.4000s.setup", real);
}

int setup_write(const char *path, struct str text, const char *user, bool secret)
{
    char real[PATH_MAX], temp[4096];
    if (setup_check_place(path) != CTL_OK)
        return CTL_FAILED;
    name_files(path, real, temp);
    int status = write_file(temp, text, user, secret);
    return status == CTL_OK ? move_into_place(temp, real) : status;
}

bool setup_is_secret(const char *path, const char *user)
{
    struct stat st;
    const struct passwd *owner = geteuid() == 0 ? getpwnam(user) : NULL;
    return stat(path, &st) == 0 && (st.st_mode & 077) == 0 && (!owner || st.st_uid == owner->pw_uid);
}

static bool is_same(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Links the old file to an unused name, unless an interrupted run has done so. */
static int keep_old(const char *path, char before[4096])
{
    int linked = -1;
    for (int i = 0; linked < 0 && i < OLD_ONES; i++) {
        snprintf(before, 4096, i == 0 ? "%s.before-setup" : "%s.before-setup.%d", path, i);
        linked = link(path, before);
        if (linked < 0 && errno != EEXIST)
            break;
        if (linked < 0 && is_same(path, before))
            linked = 0;
    }
    return linked == 0 ? CTL_OK : ctl_fail(SETUP_VERB, "%s: %s", before, strerror(errno));
}

static int replace_changed(struct setup *s, const char *path, const char *temp)
{
    char before[4096];
    if (keep_old(path, before) != CTL_OK || move_into_place(temp, path) != CTL_OK)
        return CTL_FAILED;
    setup_did(s, "change %s; the old file is %s", path, before);
    return CTL_OK;
}

static int put_file(struct setup *s, const struct setup_file *file)
{
    char real[PATH_MAX], temp[4096];
    name_files(file->path, real, temp);
    int status = write_file(temp, buf_str(file->text), file->user, false);
    if (status != CTL_OK)
        return status;
    if (file->check && !file->check(temp))
        return ctl_fail(SETUP_VERB, "%s has errors, see above", temp);
    if (!file->old || file->shipped) {
        status = move_into_place(temp, real);
        if (status == CTL_OK)
            setup_did(s, "write %s", file->path);
        return status;
    }
    if (file->own || s->replace ||
        setup_ask_yes(s, file->path, "exists and must be changed. Change it (the old one is kept)?"))
        return replace_changed(s, real, temp);
    setup_did(s, "write %s", temp);
    return ctl_fail(
        SETUP_VERB,
        "%s is neither the sample nor what setup wrote, and is left unchanged (compare it with %s and move that file "
        "over it, or use --replace)",
        file->path, temp);
}

int setup_put(struct setup *s, const struct setup_file *file)
{
    if (setup_check_place(file->path) != CTL_OK)
        return CTL_FAILED;
    if (file->old && str_eq(buf_str(file->old), buf_str(file->text))) {
        char real[PATH_MAX], temp[4096];
        name_files(file->path, real, temp);
        unlink(temp); /* left by a run that was interrupted or refused */
        setup_is(s, "%s is up to date", file->path);
        return !file->check || file->check(file->path) ? CTL_OK
                                                       : ctl_fail(SETUP_VERB, "%s has errors, see above", file->path);
    }
    if (s->dry_run) {
        setup_did(s, "write %s%s", file->path,
                  file->old && !file->shipped && !file->own && !s->replace ? " (requires --replace)" : "");
        return CTL_OK;
    }
    return put_file(s, file);
}
