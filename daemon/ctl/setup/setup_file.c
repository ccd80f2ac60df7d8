/* Of mobeyectl setup: the configuration, of which a few lines are its own. */
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_sample.h"

bool setup_is_sample(struct str text)
{
    return str_eq(text, (struct str){setup_sample, setup_sample_len});
}

/* A line KEY: VALUE that is to be set, or to be made one by taking its # away. */
struct setting {
    const char *key;
    size_t indent, indent_max; /* how far in it stands */
    const char *value;         /* NULL: the line ends behind the key */
    bool wanted, found;
};

/* The one that the line is; NULL: none. */
static struct setting *fixture_of(struct setting *settings, size_t n, struct str line)
{
    size_t indent = 0;
    while (indent < line.len && line.p[indent] == ' ')
        indent++;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(settings[i].key);
        if (settings[i].wanted && indent >= settings[i].indent && indent <= settings[i].indent_max &&
            line.len >= indent + len && memcmp(line.p + indent, settings[i].key, len) == 0)
            return &settings[i];
    }
    return NULL;
}

static void append_fixture(struct buf *out, struct str line, const struct setting *setting)
{
    buf_append(out, line.p, strspn(line.p, " "));
    buf_append_str(out, str_from(setting->key + (setting->key[0] == '#')));
    if (setting->value) {
        buf_append_str(out, STR(" "));
        ctl_json_string(out, str_from(setting->value)); /* a JSON string is one of YAML */
    }
}

/* The text with the settings in it. false: not each of them has a line. */
static bool edit(struct setting *settings, size_t n, struct str text, struct buf *out)
{
    bool all = true;
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.p + at, '\n', text.len - at);
        struct str line = {text.p + at, (end ? (size_t)(end - text.p) : text.len) - at};
        struct setting *setting = fixture_of(settings, n, line);
        if (setting) {
            append_fixture(out, line, setting);
            setting->found = true;
        } else {
            buf_append_str(out, line);
        }
        if (end)
            buf_append_str(out, STR("\n"));
        at += line.len + 1;
    }
    for (size_t i = 0; i < n; i++)
        all &= settings[i].found || !settings[i].wanted;
    return all;
}

/* Whether there is a section `security` already. */
static bool is_secured(struct str text)
{
    return text.len > 10 && (memcmp(text.p, "security:", 9) == 0 || memmem(text.p, text.len, "\nsecurity:", 10));
}

static bool edit_file(const struct setup *s, struct str text, struct buf *out)
{
    bool curve = s->server_key && !is_secured(text);
    struct setting settings[] = {
        {"instance:", 0, 0, s->instance, s->instance != NULL, false},
        {"conninfo:", 1, 8, s->conninfo, s->conninfo != NULL, false},
        {"#security:", 0, 0, NULL, curve, false},
        {"#server_key:", 2, 2, s->server_key, curve, false},
        {"#clients:", 2, 2, s->clients, curve, false},
    };
    return edit(settings, sizeof(settings) / sizeof(settings[0]), text, out);
}

/* Whether the daemon would take it; complaints are printed by their line. */
static bool check(const char *path)
{
    struct conf *conf = ctl_load(path);
    bool good = conf != NULL;
    conf_free(&conf);
    return good;
}

int setup_configuration(struct setup *s)
{
    struct buf old = {0}, text = {0};
    int there = setup_read(s->file, &old), status = CTL_FAILED;
    if (there == 0)
        buf_append(&old, setup_sample, setup_sample_len);
    buf_append(&old, "", 1); /* for strspn(), which wants an end */
    old.len--;
    const struct setup_file file = {.path = s->file,
                                    .old = there ? &old : NULL,
                                    .shipped = setup_is_sample(buf_str(&old)),
                                    .text = &text,
                                    .check = check};
    if (there >= 0 && edit_file(s, buf_str(&old), &text))
        status = setup_put(s, &file);
    else if (there >= 0)
        ctl_fail(SETUP_VERB, "%s has not the lines of the sample for instance, conninfo%s; set them by hand", s->file,
                 s->server_key ? " and security" : "");
    buf_free(&old);
    buf_free(&text);
    return status;
}
