/* mobeyectl setup: the configuration files, in which it sets a few lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "conf/conf_board.h"
#include "ctl/lib/ctl.h"
#include "ctl/setup/password_server.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_sample.h"

bool setup_is_sample(struct str text)
{
    return str_eq(text, (struct str){setup_sample, setup_sample_len});
}

/* A line KEY: VALUE to set; a key that begins with # is a commented-out line to enable. */
struct config_edit {
    const char *key;
    size_t indent, indent_max; /* allowed indentation */
    const char *value;         /* NULL: the line ends after the key */
    bool wanted, found;
    const char *passfile; /* the value is a conninfo, setup's only with this; NULL: any value may be setup's */
};

/* The edit for the line; NULL: none. */
static struct config_edit *edit_of_line(struct config_edit *edits, size_t n, struct str line)
{
    size_t indent = 0;
    while (indent < line.len && line.p[indent] == ' ')
        indent++;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(edits[i].key);
        if (indent >= edits[i].indent && indent <= edits[i].indent_max && line.len >= indent + len &&
            memcmp(line.p + indent, edits[i].key, len) == 0)
            return &edits[i];
    }
    return NULL;
}

static void append_edit(struct buf *out, struct str line, const struct config_edit *edit)
{
    buf_append(out, line.p, strspn(line.p, " "));
    buf_append_str(out, str_from(edit->key + (edit->key[0] == '#')));
    if (edit->value) {
        buf_append_str(out, STR(" "));
        json_write_string(out, str_from(edit->value)); /* a JSON string is one of YAML */
    }
}

/* Appends the text with the edits applied. false: a wanted edit found no line. */
static bool apply_edits(struct config_edit *edits, size_t n, struct str text, struct buf *out)
{
    bool all = true;
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.p + at, '\n', text.len - at);
        struct str line = {text.p + at, (end ? (size_t)(end - text.p) : text.len) - at};
        struct config_edit *edit = edit_of_line(edits, n, line);
        if (edit && edit->wanted) {
            append_edit(out, line, edit);
            edit->found = true;
        } else {
            buf_append_str(out, line);
        }
        if (end)
            buf_append_str(out, STR("\n"));
        at += line.len + 1;
    }
    for (size_t i = 0; i < n; i++)
        all &= edits[i].found || !edits[i].wanted;
    return all;
}

static struct str take_line(struct str *text)
{
    const char *end = memchr(text->p, '\n', text->len);
    struct str line = {text->p, end ? (size_t)(end - text->p) : text->len};
    size_t taken = line.len + (end != NULL);
    *text = (struct str){text->p + taken, text->len - taken};
    return line;
}

/* Whether the edit leaves the line unchanged, or replaces a value that setup may have written. */
static bool may_change(const struct config_edit *edit, struct str line, struct str value)
{
    if (!edit->wanted || !edit->passfile)
        return true;
    struct buf edited = {0};
    append_edit(&edited, line, edit);
    char *old = mem_strndup(value.p, value.len);
    bool may = str_eq(buf_str(&edited), line) || password_server_wrote(old, edit->passfile);
    buf_free(&edited);
    free(old);
    return may;
}

/* Whether an edit turns the sample's line into this one. */
static bool is_edited(const struct config_edit *edit, struct str sample, struct str line)
{
    struct buf start = {0};
    append_edit(&start, sample, &(struct config_edit){.key = edit->key});
    bool is = start.len > 0 && line.len >= start.len && memcmp(line.p, start.data, start.len) == 0;
    struct str value = {line.p + start.len, is ? line.len - start.len : 0};
    buf_free(&start);
    if (!is || value.len == 0)
        return is;
    return value.len > 2 && memcmp(value.p, " \"", 2) == 0 && value.p[value.len - 1] == '"' &&
           may_change(edit, line, (struct str){value.p + 2, value.len - 3});
}

/* Whether the text is the sample with no other changes than such edits. */
static bool is_only_edited(struct config_edit *edits, size_t n, struct str text, struct str sample)
{
    while (text.len > 0 && sample.len > 0) {
        struct str line = take_line(&text), before = take_line(&sample);
        const struct config_edit *edit = edit_of_line(edits, n, before);
        if (!str_eq(line, before) && !(edit && is_edited(edit, before, line)))
            return false;
    }
    return text.len == 0 && sample.len == 0;
}

/* Whether the text has a section `security`. */
static bool is_secured(struct str text)
{
    return text.len > 10 && (memcmp(text.p, "security:", 9) == 0 || memmem(text.p, text.len, "\nsecurity:", 10));
}

/* Whether the daemon would accept the file; errors are printed with their line. */
static bool check_configuration(const char *path)
{
    struct conf *conf = ctl_load(path);
    bool good = conf != NULL;
    conf_free(&conf);
    return good;
}

static bool check_board_configuration(const char *path)
{
    struct buf diagnostics = {0};
    struct conf_board *conf = conf_board_load(path, &diagnostics);
    bool good = conf != NULL;
    if (!good)
        fwrite(diagnostics.data, 1, diagnostics.len, stderr);
    conf_board_free(&conf);
    buf_free(&diagnostics);
    return good;
}

/* Reads the file of the program, or takes the sample if there is none. Returns what setup_read() does. */
static int read_or_sample(const struct setup_program *program, struct str sample, struct buf *ret)
{
    int there = setup_read(program->file, ret);
    if (there == 0)
        buf_append_str(ret, sample);
    buf_append(ret, "", 1); /* strspn() needs a terminator */
    ret->len--;
    return there;
}

static struct config_edit conninfo_edit(const struct setup_program *program, const char *passfile)
{
    return (struct config_edit){
        "conninfo:", 1, 8, program->conninfo, program->conninfo != NULL, false, passfile,
    };
}

bool setup_may_change(const struct setup *s, const struct setup_program *program, const char *passfile)
{
    const struct str sample = program == &s->daemon ? (struct str){setup_sample, setup_sample_len}
                                                    : (struct str){setup_board_sample, setup_board_sample_len};
    struct config_edit edits[] = {
        {.key = "instance:"},
        conninfo_edit(program, passfile),
        {.key = "#security:"},
        {"#server_key:", 2, 2, NULL, false, false, NULL},
        {"#clients:", 2, 2, NULL, false, false, NULL},
    };
    struct buf old = {0};
    bool may = read_or_sample(program, sample, &old) >= 0 &&
               (s->replace || is_only_edited(edits, ARRAY_LEN(edits), buf_str(&old), sample));
    buf_free(&old);
    return may;
}

int setup_configuration(struct setup *s)
{
    const struct setup_program *daemon = &s->daemon;
    const struct str sample = {setup_sample, setup_sample_len};
    struct buf old = {0}, text = {0};
    int there = read_or_sample(daemon, sample, &old), status = CTL_FAILED;
    bool curve = s->curve && !is_secured(buf_str(&old));
    char *passfile = setup_beside(daemon->file, "pgpass");
    struct config_edit edits[] = {
        {"instance:", 0, 0, s->instance, s->instance != NULL, false, NULL},
        conninfo_edit(daemon, passfile),
        {"#security:", 0, 0, NULL, curve, false, NULL},
        {"#server_key:", 2, 2, s->server_key, curve, false, NULL},
        {"#clients:", 2, 2, s->clients, curve, false, NULL},
    };
    const size_t n = ARRAY_LEN(edits);
    const struct setup_file file = {.path = daemon->file,
                                    .user = daemon->user,
                                    .old = there ? &old : NULL,
                                    .shipped = str_eq(buf_str(&old), sample),
                                    .own = is_only_edited(edits, n, buf_str(&old), sample),
                                    .text = &text,
                                    .check = check_configuration};
    if (there >= 0 && apply_edits(edits, n, buf_str(&old), &text))
        status = setup_put(s, &file);
    else if (there >= 0)
        ctl_fail(SETUP_VERB, "%s lacks the sample's lines for instance, conninfo%s (set them by hand)", daemon->file,
                 s->curve ? " and security" : "");
    if (status == CTL_OK && curve)
        setup_left(
            s,
            "every sender of a tcp:// endpoint now needs that public key (mobeyectl send --server-key), and a line "
            "in %s; until then it is refused",
            s->clients);
    free(passfile);
    buf_free(&old);
    buf_free(&text);
    return status;
}

int setup_board_configuration(struct setup *s, const struct setup_program *board)
{
    const struct str sample = {setup_board_sample, setup_board_sample_len};
    struct buf old = {0}, text = {0};
    int there = read_or_sample(board, sample, &old), status = CTL_FAILED;
    char *passfile = setup_beside(board->file, "pgpass");
    struct config_edit edit = conninfo_edit(board, passfile);
    const struct setup_file file = {.path = board->file,
                                    .user = board->user,
                                    .old = there ? &old : NULL,
                                    .shipped = str_eq(buf_str(&old), sample),
                                    .own = is_only_edited(&edit, 1, buf_str(&old), sample),
                                    .text = &text,
                                    .check = check_board_configuration};
    if (there >= 0 && apply_edits(&edit, 1, buf_str(&old), &text))
        status = setup_put(s, &file);
    else if (there >= 0)
        ctl_fail(SETUP_VERB, "%s has no separate line for conninfo (set it by hand: %s)", board->file, board->conninfo);
    free(passfile);
    buf_free(&old);
    buf_free(&text);
    return status;
}
