#include "ctl/lib/unit_environment.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "ctl/lib/root_only.h"
#include "ctl/lib/unit.h"

enum { FILE_MAX = 1 << 20 };

/* From after the backslash; returns the last character of what it escapes. */
static const char *append_escaped(struct buf *ret, const char *p)
{
    static const char letters[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
    const char *letter = strchr(letters, *p);
    if (strspn(p, "01234567") >= 3) {
        char c = (char)((p[0] - '0') * 64 + (p[1] - '0') * 8 + p[2] - '0');
        buf_append(ret, &c, 1);
        return p + 2;
    }
    buf_append(ret, letter ? meant + (letter - letters) : p, 1);
    return p;
}

void unit_environment_of_property(struct buf *ret, const char *words)
{
    while (*(words += strspn(words, " "))) {
        bool quoted = false;
        for (; *words && (quoted || *words != ' '); words++) {
            if (*words == '"') {
                quoted = !quoted;
                continue;
            }
            if (*words == '\\' && words[1])
                words = append_escaped(ret, words + 1);
            else
                buf_append(ret, words, 1);
        }
        buf_append(ret, "", 1);
    }
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* From after the quote to that which ends it, or the end of the text. */
static const char *append_quoted(struct buf *ret, const char *p, const char *end, char quote)
{
    for (; p < end && *p != quote; p++) {
        bool escapes = quote == '"' && *p == '\\' && p + 1 < end && strchr("\"\\`$\n", p[1]);
        if (escapes && *++p == '\n')
            continue;
        buf_append(ret, p, 1);
    }
    return p;
}

/* From after the = to the end of its last line. Quotes count before other characters only, as to systemd. */
static const char *append_value(struct buf *ret, const char *p, const char *end)
{
    size_t kept = ret->len; /* without blanks at the end */
    bool bare = false;
    for (; p < end && !is_newline(*p); p++) {
        if (!bare && (*p == '\'' || *p == '"')) {
            p = append_quoted(ret, p + 1, end, *p);
            kept = ret->len;
            if (p == end)
                break;
        } else if (*p == '\\') {
            bare = true;
            if (++p == end)
                break;
            if (!is_newline(*p))
                buf_append(ret, p, 1);
            kept = ret->len;
        } else if (bare || !isspace((unsigned char)*p)) {
            bare = true;
            buf_append(ret, p, 1);
            if (!isspace((unsigned char)*p))
                kept = ret->len;
        }
    }
    ret->len = kept;
    return p;
}

/* Whether an odd number of backslashes, not before start, precedes p. */
static bool is_escaped(const char *start, const char *p)
{
    bool is = false;
    while (p > start && *--p == '\\')
        is = !is;
    return is;
}

int unit_environment_of_file(struct buf *ret, struct str text)
{
    const char *end = text.p + text.len;
    int rc = 0;
    for (const char *p = text.p; p < end;) {
        const char *name = p;
        while (p < end && !is_newline(*p) && (*p != '=' || p == name || *name == '#' || *name == ';')) {
            p++;
            if (name + 1 == p && isspace((unsigned char)*name))
                name++;
        }
        if (p == end || is_newline(*p)) {
            if (p < end && (*name == '#' || *name == ';') && is_escaped(name, p))
                rc = -1;
            p++;
            continue;
        }
        size_t len = (size_t)(p - name);
        while (len > 0 && isspace((unsigned char)name[len - 1]))
            len--;
        buf_append(ret, name, len);
        buf_append(ret, "=", 1);
        p = append_value(ret, p + 1, end);
        buf_append(ret, "", 1);
    }
    return rc;
}

/* One that does not exist has no variables: with a - before it the unit starts all the same, otherwise it does not. But
 * only root may be able to remove it. */
static int append_file(struct buf *ret, const char *path, struct err *err)
{
    struct buf text = {0};
    struct err why;
    if (root_only_check(path, &why) < 0)
        return errno == ENOENT ? 0 : err_set(err, "%s", why.text);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = fd < 0 || file_read(fd, FILE_MAX, &text) < 0 ? err_set(err, "%s: %s", path, strerror(errno)) : 0;
    if (rc == 0 && unit_environment_of_file(ret, buf_str(&text)) < 0)
        rc = err_set(err, "%s: a comment ends with \\, by which systemd before version 254 takes the next line for one",
                     path);
    if (fd >= 0)
        close(fd);
    if (text.len > 0)
        explicit_bzero(text.data, text.len);
    buf_free(&text);
    return rc;
}

/* Whether only root can change which files there are. */
static int check_directory(const char *pattern, struct err *err)
{
    size_t len = strcspn(pattern, "*?[\\");
    while (len > 0 && pattern[len - 1] != '/')
        len--;
    struct err why;
    char *directory = mem_strndup(pattern, len);
    int rc = root_only_check(directory, &why) == 0 || errno == ENOENT ? 0 : err_set(err, "%s", why.text);
    free(directory);
    return rc;
}

static int append_files(struct buf *ret, const char *pattern, struct err *err)
{
    glob_t found;
    if (!pattern[strcspn(pattern, "*?[\\")])
        return append_file(ret, pattern, err);
    if (check_directory(pattern, err) < 0)
        return -1;
    int rc = 0, why = glob(pattern, 0, NULL, &found);
    if (why != 0 && why != GLOB_NOMATCH)
        rc = err_set(err, "%s cannot be read", pattern);
    for (size_t i = 0; why == 0 && i < found.gl_pathc; i++)
        if (append_file(ret, found.gl_pathv[i], err) < 0)
            rc = -1;
    if (why == 0)
        globfree(&found);
    return rc;
}

int unit_environment(const char *unit, struct buf *ret, struct err *err)
{
    static const char option[] = " (ignore_errors=";
    char *words = ctl_unit_property(unit, "Environment"), *files = ctl_unit_property(unit, "EnvironmentFiles");
    char *state = NULL;
    int rc = 0;
    if (words)
        unit_environment_of_property(ret, words);
    for (char *file = files ? strtok_r(files, "\n", &state) : NULL; file; file = strtok_r(NULL, "\n", &state)) {
        char *end = strstr(file, option);
        if (end)
            *end = '\0';
        if (append_files(ret, file, err) < 0)
            rc = -1;
    }
    free(words);
    free(files);
    return rc;
}
