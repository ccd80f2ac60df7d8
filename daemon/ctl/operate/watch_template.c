#include "ctl/operate/watch_template.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "ctl/operate/watch_options.h"
#include "ingest/json_read.h"

#define TEMPLATE_MOST_BYTES (8 * 1024)
#define EVENT_MOST_BYTES    (16 * 1024)
#define MESSAGE_MOST_BYTES  (60 * 1024) /* fits into a pipe */
#define VALUES_MAX          32
#define NAME_MAX_BYTES      32

struct watch_template {
    struct buf text;
    struct str fields, body; /* parts of text */
    bool json;               /* the body is JSON */
    struct json_reader *reader;
};

/* What an event says, as far as a template may use it. */
struct event_values {
    bool in_data;
    unsigned depth;
    char name[NAME_MAX_BYTES];
    size_t n;
    struct event_value {
        char name[NAME_MAX_BYTES];
        struct buf text;
    } values[VALUES_MAX];
};

static const char *const always[] = {"change_id", "incident_id", "op",      "status",
                                     "priority",  "category",    "urgency", "state"};

static bool is_listed(const char *list, struct str name)
{
    for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (str_eq((struct str){at, strcspn(at, ",")}, name))
            return true;
    return false;
}

static bool is_known(const char *include, struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        if (str_is(name, always[i]))
            return true;
    return is_listed(include, name);
}

/* The next {{name}} at or after *at; moves *at past it. false: none is left. */
static bool next_name(struct str text, size_t *at, size_t *ret_begin, struct str *ret_name)
{
    const char *open = memmem(text.p + *at, text.len - *at, "{{", 2);
    const char *close = open ? memmem(open, (size_t)(text.p + text.len - open), "}}", 2) : NULL;
    if (!close)
        return false;
    *ret_begin = (size_t)(open - text.p);
    *ret_name = (struct str){open + 2, (size_t)(close - open) - 2};
    *at = (size_t)(close - text.p) + 2;
    return true;
}

static bool can_be_included(struct str name)
{
    for (size_t i = 0; watch_include_names[i]; i++)
        if (str_is(name, watch_include_names[i]))
            return true;
    return false;
}

/* Appends the names of the text that the event has with a longer --include, each once, to `include`, a string. */
static int check_names(const char *file, struct str text, struct buf *include, struct err *err)
{
    size_t at = 0, begin;
    struct str name;
    while (next_name(text, &at, &begin, &name)) {
        if (is_known(include->data, name))
            continue;
        if (!can_be_included(name))
            return err_set(err,
                           "%s: {{%.*s}} is not in an event (expected one of change_id, incident_id, op, status, "
                           "priority, category, urgency, state or a name of --include)",
                           file, (int)(name.len < 40 ? name.len : 40), name.p);
        include->len--;
        buf_printf(include, "%s%.*s", include->len > 0 ? "," : "", (int)name.len, name.p);
        buf_append(include, "", 1);
    }
    return 0;
}

/* Whether the event has every name of the message; otherwise err says everything that --include must list. */
static int check_message(const struct watch_template *t, const char *file, const char *include, struct err *err)
{
    struct buf needed = {0};
    buf_append(&needed, include ? include : "", include ? strlen(include) + 1 : 1);
    size_t given = needed.len;
    int rc = check_names(file, t->fields, &needed, err);
    if (rc == 0)
        rc = check_names(file, t->body, &needed, err);
    if (rc == 0 && needed.len > given)
        rc = err_set(err, "%s: has names that the event lacks (expected --include %s)", file, needed.data);
    buf_free(&needed);
    return rc;
}

static int split_message(struct watch_template *t, const char *file, struct err *err)
{
    const char *text = t->text.data, *end = strstr(text, "\n\n");
    if (strlen(text) + 1 != t->text.len)
        return err_set(err, "%s: contains a NUL byte (expected text)", file);
    if (!end)
        return err_set(err, "%s: has no empty line (expected header fields, an empty line and a body)", file);
    t->fields = (struct str){text, (size_t)(end - text) + 1};
    t->body = str_from(end + 2);
    for (const char *at = text; at < end; at += strcspn(at, "\n") + 1) {
        size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
        if (name == 0 || at[name] != ':')
            return err_set(err, "%s: \"%.*s\" is not a header field (expected NAME: VALUE)", file,
                           (int)strcspn(at, "\n"), at);
        if (strncasecmp(at, "Content-Type:", 13) == 0)
            t->json = memmem(at, strcspn(at, "\n"), "json", 4) != NULL;
    }
    return 0;
}

struct watch_template *watch_template_read(const char *file, const char *include, struct err *err)
{
    struct watch_template *t = mem_zalloc(sizeof(*t));
    FILE *in = fopen(file, "re");
    size_t n = in ? fread(buf_reserve(&t->text, TEMPLATE_MOST_BYTES), 1, TEMPLATE_MOST_BYTES, in) : 0;
    int rc = !in || ferror(in)          ? err_set(err, "%s: %s", file, strerror(errno))
             : n == TEMPLATE_MOST_BYTES ? err_set(err, "%s: is too long (expected less than 8 KiB)", file)
                                        : 0;
    if (in)
        fclose(in);
    t->text.len = n;
    buf_append(&t->text, "", 1);
    if (rc != 0 || split_message(t, file, err) != 0 || check_message(t, file, include, err) != 0) {
        watch_template_free(&t);
        return NULL;
    }
    t->reader = json_reader_new(&(struct json_limits){
        .bytes = EVENT_MOST_BYTES, .at_once = EVENT_MOST_BYTES, .levels = 4, .unique_names = true});
    return t;
}

void watch_template_free(struct watch_template **ret)
{
    if (!*ret)
        return;
    json_reader_free(&(*ret)->reader);
    buf_free(&(*ret)->text);
    free(*ret);
    *ret = NULL;
}

static void on_name(void *ctx, struct str name)
{
    struct event_values *e = ctx;
    snprintf(e->name, sizeof(e->name), "%.*s", (int)name.len, name.p);
}

static void on_value(void *ctx, const struct json_value *value)
{
    struct event_values *e = ctx;
    if (value->type == JSON_OBJECT || value->type == JSON_ARRAY) {
        e->in_data = e->depth++ == 0 && value->type == JSON_OBJECT && strcmp(e->name, "data") == 0;
        return;
    }
    if (!e->in_data || e->depth != 1 || value->type == JSON_NULL || e->n == VALUES_MAX)
        return;
    struct event_value *at = &e->values[e->n++];
    *at = (struct event_value){0};
    memcpy(at->name, e->name, sizeof(at->name));
    if (value->type == JSON_BOOLEAN)
        buf_printf(&at->text, "%s", value->boolean ? "true" : "false");
    else
        buf_append_str(&at->text, value->string);
}

static void on_close(void *ctx)
{
    struct event_values *e = ctx;
    e->in_data = e->in_data && e->depth > 1;
    e->depth--;
}

static struct str value_of(const struct event_values *e, const char *name)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->values[i].name, name) == 0)
            return buf_str(&e->values[i].text);
    return STR("");
}

/* As the inside of a JSON string, or as plain text on one line. */
static void append_value(struct buf *out, struct str value, bool json)
{
    if (json) {
        struct buf quoted = {0};
        json_write_string(&quoted, value);
        buf_append(out, quoted.data + 1, quoted.len - 2);
        buf_free(&quoted);
        return;
    }
    for (size_t i = 0; i < value.len; i++)
        buf_append(out, iscntrl((unsigned char)value.p[i]) ? " " : &value.p[i], 1);
}

static void append_named(struct buf *out, const struct event_values *e, struct str name, bool json)
{
    char key[NAME_MAX_BYTES], urgency[2] = {0};
    snprintf(key, sizeof(key), "%.*s", (int)name.len, name.p);
    struct str priority = value_of(e, "priority");
    struct str value = value_of(e, key);
    if (strcmp(key, "state") == 0)
        value = str_is(value_of(e, "status"), "closed") ? STR("close") : STR("open");
    else if (strcmp(key, "urgency") == 0 && priority.len == 1) {
        urgency[0] = (char)('0' + '6' - *priority.p);
        value = str_from(urgency);
    }
    append_value(out, value, json);
}

static void fill_text(struct buf *out, struct str text, const struct event_values *e, bool json)
{
    size_t at = 0, from = 0, begin;
    struct str name;
    while (next_name(text, &at, &begin, &name)) {
        buf_append(out, text.p + from, begin - from);
        append_named(out, e, name, json);
        from = at;
    }
    buf_append(out, text.p + from, text.len - from);
}

int watch_template_fill(const struct watch_template *t, struct str event, struct buf *ret_fields, struct buf *ret_body,
                        struct err *err)
{
    static const struct json_calls calls = {.on_name = on_name, .on_value = on_value, .on_close = on_close};
    struct event_values values = {0};
    size_t offset;
    const char *why = event.len > EVENT_MOST_BYTES ? "too long" : json_read(t->reader, event, &calls, &values, &offset);
    if (!why) {
        fill_text(ret_fields, t->fields, &values, false);
        fill_text(ret_body, t->body, &values, t->json);
    }
    for (size_t i = 0; i < values.n; i++)
        buf_free(&values.values[i].text);
    if (!why && ret_fields->len + ret_body->len > MESSAGE_MOST_BYTES)
        why = "too long";
    return why ? err_set(err, "not an event for the template: %s", why) : 0;
}
