#include "store/conninfo.h"

#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/mem.h"

#define EXPECTED                                                                                                       \
    "not a conninfo (expected keyword=value ..., with quotes around a value that contains spaces, or "                 \
    "postgresql://...)"

/* As libpq sees it; anything else is the name of a database. */
static bool is_conninfo(const char *text)
{
    return strchr(text, '=') || strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
}

/* Rather than a URI whose scheme is mistyped. */
static bool is_name(const char *text)
{
    return !text[strcspn(text, ":/@")];
}

static bool is_port(const char *text, size_t len)
{
    size_t digits = strspn(text, "0123456789");
    return digits == len && len <= 5 && atoi(text) >= 1 && atoi(text) <= 65535;
}

int conninfo_check_ports(const char *ports, struct err *err)
{
    for (size_t i = 1, len; *ports; i++, ports += len + (ports[len] == ',')) {
        len = strcspn(ports, ",");
        if (len > 0 && !is_port(ports, len))
            return err_set(err, "value %zu of port is not a port number (expected 1 to 65535)", i);
    }
    return 0;
}

/* Whether libpq ends the password of a URI too early, since it contains @ or /: the rest became host or database.
 * Without a colon there is no password, and a / after ? belongs to another value. */
static bool has_stray_at(const char *conninfo)
{
    const char *start = strncmp(conninfo, "postgres", 8) == 0 ? strstr(conninfo, "://") : NULL;
    const char *end = start ? strpbrk(start + 3, "@/") : NULL;
    if (!end || !memchr(start + 3, ':', (size_t)(end - start - 3)))
        return false;
    if (*end == '/' && memchr(start + 3, '?', (size_t)(end - start - 3)))
        return false;
    return memchr(end + 1, '@', strcspn(end + 1, "?"));
}

/* Whether a password follows the value without a space. In options name.password= is a setting of an extension. */
static bool holds_password(const PQconninfoOption *o)
{
    bool is_options = strcmp(o->keyword, "options") == 0;
    for (const char *at = o->val; (at = strcasestr(at, "password=")); at++)
        if (!is_options || at == o->val || at[-1] != '.')
            return true;
    return false;
}

/* Whether libpq read what was meant. -1: a part of a password may be where it does not belong. */
static int check_read(const char *conninfo, const PQconninfoOption *options, struct err *err)
{
    if (has_stray_at(conninfo))
        return err_set(err, "unexpected @ after the host (expected %%40 for @ and %%2F for / in a password)");
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val || *o->dispchar == '*')
            continue;
        if (holds_password(o))
            return err_set(err, "the value of %s contains password= (expected a space before it)", o->keyword);
        if (strcmp(o->keyword, "port") == 0 && conninfo_check_ports(o->val, err) < 0)
            return -1;
    }
    return 0;
}

int conninfo_check(const char *conninfo, struct err *err)
{
    if (!is_conninfo(conninfo))
        return is_name(conninfo) ? 0 : err_set(err, EXPECTED);
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &why);
    if (options) {
        int ret = check_read(conninfo, options, err);
        PQconninfoFree(options);
        return ret;
    }
    if (!why || strcasestr(conninfo, "pass") || strstr(conninfo, "://"))
        err_set(err, EXPECTED);
    else
        err_set(err, "not a conninfo: %.*s", (int)strcspn(why, "\n"), why);
    PQfreemem(why);
    return -1;
}

/* libpq ends a value without quotes at whatever isspace() knows. */
static void append_value(struct buf *out, const char *value)
{
    if (*value && !value[strcspn(value, " \\'\t\n\r\v\f")]) {
        buf_append_str(out, str_from(value));
        return;
    }
    buf_append_str(out, STR("'"));
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buf_append_str(out, STR("\\"));
        buf_append(out, value, 1);
    }
    buf_append_str(out, STR("'"));
}

void conninfo_mask(struct buf *out, const char *conninfo)
{
    if (!is_conninfo(conninfo) && is_name(conninfo)) {
        buf_append_str(out, STR("dbname="));
        append_value(out, conninfo);
        return;
    }
    PQconninfoOption *options = is_conninfo(conninfo) ? PQconninfoParse(conninfo, NULL) : NULL;
    if (!options || check_read(conninfo, options, NULL) < 0) {
        buf_append_str(out, STR("(unreadable)"));
        PQconninfoFree(options);
        return;
    }
    size_t start = out->len;
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val)
            continue;
        buf_printf(out, "%s%s=", out->len > start ? " " : "", o->keyword);
        /* libpq marks values that a form should hide with an asterisk. */
        append_value(out, *o->dispchar == '*' ? "********" : o->val);
    }
    PQconninfoFree(options);
}

bool conninfo_is_socket(const char *host)
{
    return !host || !*host || host[0] == '/' || host[0] == '@';
}

char *conninfo_value(const char *conninfo, const char *keyword)
{
    char *value = NULL;
    if (!is_conninfo(conninfo))
        return strcmp(keyword, "dbname") == 0 ? mem_strdup(conninfo) : NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    for (const PQconninfoOption *o = options; o && o->keyword && !value; o++)
        if (o->val && strcmp(o->keyword, keyword) == 0)
            value = mem_strdup(o->val);
    PQconninfoFree(options);
    return value;
}

void conninfo_append(struct buf *out, const char *keyword, const char *value)
{
    buf_printf(out, "%s%s=", out->len > 0 ? " " : "", keyword);
    append_value(out, value);
}

static void append_unless(struct buf *out, const char *keyword, const char *value, const char *const *left_out)
{
    for (; *left_out; left_out++)
        if (strcmp(keyword, *left_out) == 0)
            return;
    conninfo_append(out, keyword, value);
}

int conninfo_without(struct buf *out, const char *conninfo, const char *const *keywords)
{
    if (!is_conninfo(conninfo)) {
        append_unless(out, "dbname", conninfo, keywords);
        return 0;
    }
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (!options)
        return -1;
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (o->val)
            append_unless(out, o->keyword, o->val, keywords);
    PQconninfoFree(options);
    return 0;
}

/* libpq's values for keywords that a conninfo with this service leaves out. */
static PQconninfoOption *defaults_with(const char *service)
{
    if (!service)
        return PQconndefaults();
    const char *present = getenv("PGSERVICE");
    char *kept = mem_strdup(present);
    setenv("PGSERVICE", service, 1);
    PQconninfoOption *defaults = PQconndefaults();
    if (kept)
        setenv("PGSERVICE", kept, 1);
    else
        unsetenv("PGSERVICE");
    free(kept);
    return defaults;
}

void conninfo_complete(struct buf *out, const char *conninfo)
{
    struct err err;
    if (conninfo_check(conninfo, &err) < 0)
        return;
    char *service = conninfo_value(conninfo, "service");
    PQconninfoOption *defaults = defaults_with(service);
    for (const PQconninfoOption *o = defaults; o && o->keyword; o++) {
        char *value = conninfo_value(conninfo, o->keyword);
        bool is_compiled = o->val && o->compiled && strcmp(o->val, o->compiled) == 0;
        if (value || (o->val && !is_compiled))
            conninfo_append(out, o->keyword, value ? value : o->val);
        free(value);
    }
    PQconninfoFree(defaults);
    free(service);
}

int conninfo_for_database(struct buf *out, const char *conninfo, const char *database)
{
    static const char *const dbname[] = {"dbname", NULL};
    if (conninfo_without(out, conninfo, dbname) < 0)
        return -1;
    conninfo_append(out, "dbname", database);
    return 0;
}
