/* Of mobeyectl setup: the configuration, of which two lines are its own. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/setup.h"
#include "ctl/setup_sample.h"

enum { FILE_MAX = 1 << 20 };

const char *setup_file_name(const struct setup *s)
{
    return s->file ? s->file : CTL_DEFAULT_FILE;
}

/* 1: read; 0: there is none; -1: printed why not. */
static int read_file(const char *path, struct buf *ret)
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

enum { INSTANCE = 1, CONNINFO = 2 };

/* Which of ours the line is, and how many bytes of it stay before its value; 0: none. */
static int ours(struct str line, size_t *ret_keep)
{
    static const struct {
        int what;
        const char *key;
    } keys[] = {{INSTANCE, "instance:"}, {CONNINFO, "conninfo:"}};
    size_t indent = 0;
    while (indent < line.len && line.p[indent] == ' ')
        indent++;
    for (size_t i = 0; i < 2; i++) {
        *ret_keep = indent + strlen(keys[i].key);
        bool deep = keys[i].what == CONNINFO; /* it stands in a section */
        if (deep == (indent > 0) && line.len >= *ret_keep &&
            memcmp(line.p + indent, keys[i].key, strlen(keys[i].key)) == 0)
            return keys[i].what;
    }
    return 0;
}

/* The text with the values that are given in it. false: it has no such lines. */
static bool edit(const struct setup *s, struct str text, struct buf *out)
{
    int missing = (s->instance ? INSTANCE : 0) | (s->conninfo ? CONNINFO : 0);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.p + at, '\n', text.len - at);
        struct str line = {text.p + at, (end ? (size_t)(end - text.p) : text.len) - at};
        size_t keep;
        int what = ours(line, &keep);
        const char *value = what == INSTANCE ? s->instance : what == CONNINFO ? s->conninfo : NULL;
        buf_append(out, line.p, value ? keep : line.len);
        if (value) {
            buf_append_str(out, STR(" "));
            ctl_json_string(out, str_from(value)); /* a JSON string is one of YAML */
            missing &= ~what;
        }
        if (end)
            buf_append_str(out, STR("\n"));
        at += line.len + 1;
    }
    return missing == 0;
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

/* Whether the daemon would take it; complaints are printed by their line. */
static bool check(const char *path)
{
    struct conf *conf = ctl_load(path);
    bool good = conf != NULL;
    conf_free(&conf);
    return good;
}

/* The old one stays as FILE.before-setup, which is not replaced itself. */
static int replace_file(struct setup *s, const char *path, const char *made)
{
    char before[4096];
    snprintf(before, sizeof(before), "%s.before-setup", path);
    if (link(path, before) < 0)
        return ctl_fail(SETUP_VERB, "%s: %s", before, strerror(errno));
    if (rename(made, path) < 0)
        return ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
    setup_did(s, "%s, changed; it was %s", path, before);
    return CTL_OK;
}

static int put_beside(struct setup *s, const char *path, const struct buf *text)
{
    char made[4096];
    snprintf(made, sizeof(made), "%s.setup", path);
    unlink(made); /* one of an earlier run */
    int status = write_file(made, text);
    if (status != CTL_OK)
        return status;
    if (!check(made))
        return ctl_fail(SETUP_VERB, "the configuration in %s has errors, see above", made);
    if (s->replace || setup_ask_yes(s, "The configuration is there and differs. Change it (the old one is kept)?"))
        return replace_file(s, path, made);
    setup_did(s, "%s", made);
    return ctl_fail(SETUP_VERB,
                    "%s is there, and stays as it is; diff it with %s, and move that over it, or say --replace", path,
                    made);
}

/* A file of its own, whole or not at all. */
static int put_new(struct setup *s, const char *path, const struct buf *text)
{
    int status = write_file(path, text);
    if (status == CTL_OK && !check(path))
        status = ctl_fail(SETUP_VERB, "the configuration in %s has errors, see above", path);
    if (status == CTL_OK)
        setup_did(s, "%s", path);
    return status;
}

static int put(struct setup *s, const char *path, int there, const struct buf *old, const struct buf *text)
{
    if (there && str_eq(buf_str(old), buf_str(text))) {
        setup_is(s, "%s says so", path);
        return check(path) ? CTL_OK : ctl_fail(SETUP_VERB, "%s has errors, see above", path);
    }
    if (s->dry_run) {
        setup_did(s, "%s%s", path, there ? ", changed, where --replace says so" : "");
        return CTL_OK;
    }
    return (there ? put_beside : put_new)(s, path, text);
}

int setup_file(struct setup *s)
{
    const char *path = setup_file_name(s);
    struct buf old = {0}, text = {0};
    int there = read_file(path, &old), status = CTL_FAILED;
    if (there == 0)
        buf_append(&old, setup_sample, setup_sample_len);
    if (there >= 0) {
        if (edit(s, buf_str(&old), &text))
            status = put(s, path, there, &old, &text);
        else
            ctl_fail(SETUP_VERB, "%s has no lines \"instance:\" and \"  conninfo:\" to be set; set them by hand", path);
    }
    buf_free(&old);
    buf_free(&text);
    return status;
}
