#include "conf/yaml_slip.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

enum { DEPTH_MAX = 32 };

/* The state of reading the lines. */
struct slip_reader {
    struct yaml_slip *slip;
    bool found;
    size_t line;
    struct str text; /* the line */
    struct {
        char open;
        struct source_pos pos;
        size_t indent; /* of the line */
    } brackets[DEPTH_MAX];
    size_t depth;              /* number of open brackets */
    size_t indents[DEPTH_MAX]; /* of the open blocks */
    size_t n_indents;
    bool may_indent; /* the next line may be deeper: the previous one ends with a colon, or begins an item */
};

static const struct {
    const char *bytes, *name;
} spaces[] = {{"\xc2\xa0", "no-break space"},       {"\xe2\x80\xaf", "no-break space"},
              {"\xe2\x80\x87", "no-break space"},   {"\xe2\x80\x8b", "zero-width space"},
              {"\xe2\x80\x8c", "zero-width space"}, {"\xe2\x80\x8d", "zero-width space"},
              {"\xe2\x81\xa0", "zero-width space"}, {"\xe3\x80\x80", "ideographic space"}};

static const char *const quotes[] = {"\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e", "\xe2\x80\x9f", "\xe2\x80\x98",
                                     "\xe2\x80\x99", "\xe2\x80\x9a", "\xc2\xab",     "\xc2\xbb"};

static bool begins(const char *text, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(text, with, n) == 0;
}

const char *yaml_slip_space(const char *text, size_t len, size_t *ret_len)
{
    for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
        if (begins(text, len, spaces[i].bytes)) {
            *ret_len = strlen(spaces[i].bytes);
            return spaces[i].name;
        }
    return NULL;
}

size_t yaml_slip_quote(const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(quotes); i++)
        if (begins(text, len, quotes[i]))
            return strlen(quotes[i]);
    return 0;
}

/* Columns count characters. */
static struct source_pos pos_of_byte(const struct slip_reader *r, size_t at)
{
    struct source_pos pos = {r->line, 1};
    for (size_t i = 0; i < at && i < r->text.len; i++)
        pos.col += ((unsigned char)r->text.p[i] & 0xc0) != 0x80;
    return pos;
}

static void report_at(struct slip_reader *r, struct source_pos pos, const char *what)
{
    if (r->found)
        return;
    r->found = true;
    r->slip->pos = pos;
    snprintf(r->slip->what, sizeof(r->slip->what), "%s", what);
}

static void report(struct slip_reader *r, size_t at, const char *what)
{
    report_at(r, pos_of_byte(r, at), what);
}

/* Skips quoted text. false: it does not end on this line. */
static bool skip_quoted(const struct slip_reader *r, size_t *at)
{
    char quote = r->text.p[(*at)++];
    for (; *at < r->text.len; ++*at) {
        char c = r->text.p[*at];
        bool doubled = quote == '\'' && *at + 1 < r->text.len && r->text.p[*at + 1] == '\'';
        if ((quote == '"' && c == '\\') || (c == quote && doubled))
            ++*at;
        else if (c == quote) {
            ++*at;
            return true;
        }
    }
    return false;
}

static void open_bracket(struct slip_reader *r, size_t at, size_t indent)
{
    if (r->depth == DEPTH_MAX)
        return;
    r->brackets[r->depth].open = r->text.p[at];
    r->brackets[r->depth].pos = pos_of_byte(r, at);
    r->brackets[r->depth++].indent = indent;
}

static void close_bracket(struct slip_reader *r, size_t at)
{
    bool brace = r->text.p[at] == '}';
    if (r->depth == 0)
        report(r, at, brace ? "} without a { before it (expected none)" : "] without a [ before it (expected none)");
    else if ((r->brackets[r->depth - 1].open == '{') != brace)
        report_at(r, r->brackets[r->depth - 1].pos,
                  brace ? "bracket is not closed (expected ] before })" : "brace is not closed (expected } before ])");
    else
        r->depth--;
}

/* Looks for characters outside quotes that look like others. Returns whether there is one. */
static bool check_character(struct slip_reader *r, size_t at, bool starts_value)
{
    size_t len;
    const char *space = yaml_slip_space(r->text.p + at, r->text.len - at, &len);
    char what[80];
    if (space) {
        snprintf(what, sizeof(what), "%s (expected an ordinary space, or none)", space);
        report(r, at, what);
    } else if (starts_value && yaml_slip_quote(r->text.p + at, r->text.len - at) > 0) {
        report(r, at, "typographic quote (expected \" or ')");
    }
    return r->found;
}

/* Reads the rest of the line, where a value may begin. */
static void scan_values(struct slip_reader *r, size_t at, size_t indent)
{
    bool start = true, closed = false; /* a value may begin here; a bracket has just been closed */
    while (at < r->text.len && !r->found) {
        char c = r->text.p[at];
        if (c == '#' && (at == 0 || r->text.p[at - 1] == ' '))
            return;
        if (check_character(r, at, start))
            return;
        size_t from = at++;
        if (start && (c == '"' || c == '\'')) {
            at = from;
            if (!skip_quoted(r, &at))
                report(r, from, "quote is not closed (expected the same quote later on this line)");
            start = false;
        } else if ((start && (c == '[' || c == '{')) || (r->depth > 0 && (c == '[' || c == '{'))) {
            open_bracket(r, from, indent);
            start = true;
        } else if (r->depth > 0 && (c == ']' || c == '}')) {
            close_bracket(r, from);
            start = false;
            closed = r->depth == 0;
        } else if ((start || closed) && (c == ']' || c == '}')) {
            close_bracket(r, from);
        } else if (c == ' ') {
            start = start || r->text.p[from > 0 ? from - 1 : 0] == ':';
        } else {
            start = r->depth > 0 && (c == ',' || c == ':');
        }
    }
}

static size_t key_length(const struct slip_reader *r, size_t at)
{
    size_t n = 0;
    while (at + n < r->text.len && (isalnum((unsigned char)r->text.p[at + n]) || strchr("_-", r->text.p[at + n])))
        n++;
    return n;
}

/* Reads "key:" in a block. Returns where its value begins; reports text that is not a key. */
static size_t read_key(struct slip_reader *r, size_t at, bool item)
{
    size_t len = key_length(r, at), end = at + len;
    if (len == 0 || !isalpha((unsigned char)r->text.p[at]))
        return at;
    bool bare = end == r->text.len || r->text.p[end] != ':';
    if (bare && item)
        return at; /* the item is plain text */
    size_t next = end;
    while (next < r->text.len && r->text.p[next] == ' ')
        next++;
    if (bare && next < r->text.len && r->text.p[next] == '=')
        report(r, next, "= where a colon belongs (expected KEY: VALUE)");
    else if (bare && next > end && next < r->text.len && r->text.p[next] != ':' && r->text.p[next] != '#')
        report(r, end, "colon is missing after the key (expected KEY: VALUE)");
    else if (!bare && end + 1 < r->text.len && r->text.p[end + 1] != ' ' && !check_character(r, end + 1, true) &&
             !begins(r->text.p + end, r->text.len - end, "://"))
        report(r, end, "missing space after the colon (expected KEY: VALUE)");
    return bare ? at : end + 1;
}

/* A deeper line after a value, or one whose indentation matches no line above. */
static void check_indent(struct slip_reader *r, size_t indent)
{
    size_t n = r->n_indents;
    if (n == 0 || indent > r->indents[n - 1]) {
        if (n > 0 && !r->may_indent)
            report(r, indent, "indentation: deeper than the line above, which has a value (expected the same)");
        else if (n < DEPTH_MAX)
            r->indents[r->n_indents++] = indent;
        return;
    }
    while (r->n_indents > 0 && r->indents[r->n_indents - 1] > indent)
        r->n_indents--;
    if (r->n_indents == 0 || r->indents[r->n_indents - 1] != indent)
        report(r, indent, "indentation: as deep as no line above that could contain it (expected the same spaces)");
}

/* A line of a block begins while brackets are still open. */
static bool interrupts_brackets(const struct slip_reader *r, size_t indent)
{
    size_t len = key_length(r, indent);
    return r->depth > 0 && indent <= r->brackets[0].indent && len > 0 && indent + len < r->text.len &&
           r->text.p[indent + len] == ':';
}

static void report_open_bracket(struct slip_reader *r)
{
    report_at(r, r->brackets[r->depth - 1].pos,
              r->brackets[r->depth - 1].open == '{' ? "brace is not closed (expected })"
                                                    : "bracket is not closed (expected ])");
}

static bool is_blank_or_comment(const struct slip_reader *r, size_t at)
{
    return at == r->text.len || r->text.p[at] == '#' || begins(r->text.p + at, r->text.len - at, "---");
}

/* Returns where the content of a line begins; reports spaces other than the ordinary one. */
static size_t read_indent(struct slip_reader *r)
{
    size_t at = 0, len;
    while (at < r->text.len && r->text.p[at] == ' ')
        at++;
    if (at < r->text.len && r->text.p[at] == '\t')
        report(r, at, "tab in the indentation (expected spaces)");
    else if (yaml_slip_space(r->text.p + at, r->text.len - at, &len))
        check_character(r, at, false);
    return at;
}

static void read_line(struct slip_reader *r)
{
    size_t indent = read_indent(r), at = indent;
    bool item = false;
    if (r->found || is_blank_or_comment(r, at))
        return;
    if (interrupts_brackets(r, indent)) {
        report_open_bracket(r);
        return;
    }
    if (r->depth > 0) {
        scan_values(r, at, indent);
        return;
    }
    check_indent(r, indent);
    while (!r->found && begins(r->text.p + at, r->text.len - at, "- ")) {
        item = true;
        at += 2;
        if (r->n_indents < DEPTH_MAX)
            r->indents[r->n_indents++] = at; /* further keys of the item */
    }
    if (!item && at + 1 < r->text.len && r->text.p[at] == '-' && isalpha((unsigned char)r->text.p[at + 1])) {
        report(r, at, "missing space after the dash (expected - VALUE)");
        return;
    }
    size_t value = r->found ? at : read_key(r, at, item), next = value;
    while (next < r->text.len && r->text.p[next] == ' ')
        next++;
    r->may_indent = next == r->text.len || r->text.p[next] == '#';
    if (!r->found)
        scan_values(r, value, indent);
}

bool yaml_slip_find(struct str text, size_t last_line, struct yaml_slip *ret)
{
    struct slip_reader r = {.slip = ret};
    size_t at = 0;
    while (at < text.len && r.line < last_line && !r.found) {
        const char *feed = memchr(text.p + at, '\n', text.len - at);
        size_t end = feed ? (size_t)(feed - text.p) : text.len;
        r.line++;
        r.text = (struct str){text.p + at, end - at};
        if (r.text.len > 0 && r.text.p[r.text.len - 1] == '\r')
            r.text.len--;
        read_line(&r);
        at = end + 1;
    }
    if (!r.found && at >= text.len && r.depth > 0)
        report_open_bracket(&r);
    return r.found;
}
