/* Text from the table of keys: names, scopes, and what each key expects. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/nearest.h"
#include "conf/schema.h"
#include "conf/value.h"

bool schema_in_scope(const struct schema_key *key, const char *scope, const char **ret_name)
{
    const char *dot = strrchr(key->path, '.');
    size_t len = dot ? (size_t)(dot - key->path) : 0;
    *ret_name = dot ? dot + 1 : key->path;
    return strlen(scope) == len && memcmp(scope, key->path, len) == 0;
}

const struct schema_key *schema_find(const char *scope, const char *name)
{
    const struct schema_key *key;
    const char *own;
    for (size_t i = 0; (key = schema_key(i)); i++)
        if (schema_in_scope(key, scope, &own) && strcmp(own, name) == 0)
            return key;
    return NULL;
}

struct schema_scope schema_scope(const struct schema_key *key)
{
    struct schema_scope scope;
    snprintf(scope.text, sizeof(scope.text), "%s%s", key->path,
             key->type == SCHEMA_LIST || key->type == SCHEMA_NAMED ? "[]" : "");
    return scope;
}

/* Appends one item of "a, b or c"; last is "or". */
static void append_item(struct buf *out, const char *item, bool first, bool last_one, const char *last)
{
    if (!first && last_one)
        buf_printf(out, " %s %s", last, item);
    else
        buf_printf(out, "%s%s", first ? "" : ", ", item);
}

void schema_names(const char *scope, const char *last, struct buf *out)
{
    const struct schema_key *key;
    const char *name, *held = NULL;
    bool first = true;
    for (size_t i = 0; (key = schema_key(i)); i++) {
        if (!schema_in_scope(key, scope, &name))
            continue;
        if (held) {
            append_item(out, held, first, false, last);
            first = false;
        }
        held = name;
    }
    if (held)
        append_item(out, held, first, true, last);
}

static void append_words(const struct schema_key *key, struct buf *out)
{
    unsigned value;
    const char *word;
    for (unsigned i = 0; (word = key->word(i, &value)); i++)
        append_item(out, word, i == 0, !key->word(i + 1, &value), "or");
}

static void append_range(const struct schema_key *key, struct buf *out)
{
    if (key->type == SCHEMA_DISTANCE)
        buf_printf(out, "%s to %s", value_distance_text(key->min).text, value_distance_text(key->max).text);
    else if (key->type == SCHEMA_DURATION || key->type == SCHEMA_STEPS)
        buf_printf(out, "%s to %s", value_duration_text(key->min).text, value_duration_text(key->max).text);
    else if (key->type == SCHEMA_SIZE)
        buf_printf(out, "%s to %s", value_size_text(key->min).text, value_size_text(key->max).text);
    else if ((key->type == SCHEMA_LIST || key->type == SCHEMA_NAMED) && key->min == 0)
        buf_printf(out, "at most %" PRId64, key->max);
    else
        buf_printf(out, "%" PRId64 " to %" PRId64, key->min, key->max);
}

/* What every key of a type expects: the text before and after the range of the key, if it has one. */
static const struct {
    const char *before, *after;
} types[SCHEMA_TYPES] = {
    [SCHEMA_SECTION] = {"a mapping", "; keys: "},
    [SCHEMA_LIST] = {"a list of ", " mappings; keys: "},
    [SCHEMA_NAMED] = {"a mapping of ", " names to mappings; keys: "},
    [SCHEMA_TEXT] = {"text of ", " printable characters"},
    [SCHEMA_ZONE] = {"an IANA time zone in /usr/share/zoneinfo, such as Europe/Amsterdam", ""},
    [SCHEMA_CONNINFO] = {"a libpq connection string: keyword=value ... or postgresql://...", ""},
    [SCHEMA_PATH] = {"an absolute path of at most 1024 bytes", ""},
    [SCHEMA_SECRET] = {"an absolute path of at most 1024 bytes, or credential:NAME for a systemd credential", ""},
    [SCHEMA_KEY] = {"a public key: 40 Z85 characters in quotes, as printed by mobeyectl keygen", ""},
    [SCHEMA_BIND] =
        {"tcp://HOST:PORT, where HOST is an IPv4 address, [IPv6], an interface or * and PORT is 1 to 65535 or * "
         "for a free port; or ipc:///PATH of at most 107 bytes",
         ""},
    [SCHEMA_CONNECT] = {"tcp://HOST:PORT, where HOST is a name, an IPv4 address or [IPv6] and PORT is 1 to 65535; or "
                        "ipc:///PATH of at most 107 bytes",
                        ""},
    [SCHEMA_CONNECTS] = {"one address or a list of addresses: tcp://HOST:PORT or ipc:///PATH of at most 107 bytes", ""},
    [SCHEMA_KEYS] = {"one public key, or a list with one for each address: 40 Z85 characters in quotes", ""},
    [SCHEMA_URL] = {"http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH], without user, password and query", ""},
    [SCHEMA_DEVICE] = {"", " characters of A-Z a-z 0-9 . _ : / -"},
    [SCHEMA_LISTEN] =
        {"ADDRESS:PORT, where ADDRESS is an IPv4 address or [IPv6] and PORT is 1 to 65535 or 0 for a free port", ""},
    [SCHEMA_TEXTS] = {"one text or a list of texts, each of ", " printable characters"},
    [SCHEMA_GLOBS] = {"one device ID or a list of them, each of ", " printable characters; wildcards: * ? [...]"},
    [SCHEMA_NETWORKS] = {"one network or a list of networks, such as 10.20.0.0/16, 2001:db8::/32 or 10.20.0.7", ""},
    [SCHEMA_WORD] = {"", ""},
    [SCHEMA_WORDS] = {"one word or a list of words: ", ""},
    [SCHEMA_DAYS] = {"one day or a list of days: mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri", ""},
    [SCHEMA_HOURS] = {"\"HH:MM-HH:MM\", such as \"22:00-06:00\"", ""},
    [SCHEMA_BOOL] = {"true or false", ""},
    [SCHEMA_NUMBER] = {"a number from ", ""},
    [SCHEMA_BOX] = {"[west, south, east, north] in degrees, west < east, south < north", ""},
    [SCHEMA_INT] = {"", ""},
    [SCHEMA_DATE] = {"a date such as 2027-12-31", ""},
    [SCHEMA_DURATION] = {"a duration from ", "; units: d, h, m, s and ms"},
    [SCHEMA_STEPS] = {"one duration or an ascending list of at most 8, each from ", "; units: d, h, m, s and ms"},
    [SCHEMA_LAYER] = {"a layer name: a lowercase letter, then up to 31 of a-z 0-9 _ -", ""},
    [SCHEMA_GROUPING] = {"one word or a list of words: a layer name, ", ""},
    [SCHEMA_DISTANCE] = {"a distance from ", "; units: m and km"},
    [SCHEMA_SIZE] = {"a size from ", "; units: KiB, MiB, GiB and TiB, or bytes without one"},
};

void schema_expected(const struct schema_key *key, struct buf *out)
{
    buf_printf(out, "%s", types[key->type].before);
    if (key->max > 0)
        append_range(key, out);
    if (key->unit)
        buf_printf(out, " %s", key->unit);
    buf_printf(out, "%s", types[key->type].after);
    if (key->type == SCHEMA_SECTION || key->type == SCHEMA_LIST || key->type == SCHEMA_NAMED)
        schema_names(schema_scope(key).text, "and", out);
    if (key->word)
        append_words(key, out);
}

const char *schema_file(const char *path)
{
    static const char *const scopes[] = {SCHEMA_CLIENTS, SCHEMA_FRIGATE, SCHEMA_BOARD};
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        size_t len = strlen(scopes[i]);
        if (strncmp(path, scopes[i], len) == 0 && (path[len] == '.' || path[len] == '\0'))
            return scopes[i];
    }
    return SCHEMA_MOBEYED;
}

static const char *name_in_scope(const void *scope, size_t i)
{
    const struct schema_key *key = schema_key(i);
    const char *name;
    if (!key)
        return NULL;
    return schema_in_scope(key, scope, &name) ? name : "";
}

const struct schema_key *schema_meant(const char *scope, const char *name)
{
    const struct schema_key *key;
    const char *own, *nearest = nearest_word(name, name_in_scope, scope);
    if (nearest)
        return schema_find(scope, nearest);
    for (size_t i = 0; (key = schema_key(i)); i++)
        if (strcmp(schema_file(key->path), schema_file(scope)) == 0 && !schema_in_scope(key, scope, &own) &&
            strcmp(own, name) == 0)
            return key;
    return NULL;
}
