#include "ctl/lib/documents.h"

#include <string.h>

static bool is_blank(char c)
{
    return c != '\0' && strchr(" \t\r\v\f", c);
}

/* Separators between the documents of an array count as blank. */
static size_t skip_blanks(struct documents *documents, struct str text, size_t at)
{
    for (; at < text.len; at++) {
        bool ends = documents->in_array && text.p[at] == ']';
        documents->closed |= ends;
        if (!ends && !is_blank(text.p[at]) && !(documents->in_array && text.p[at] == ','))
            break;
    }
    return at;
}

/* Scans part of a document and updates its depth. Returns where it ends; the length of the text if it continues. */
static size_t scan(unsigned *depth, struct str text, size_t at)
{
    bool quoted = false;
    for (; at < text.len; at++) {
        char c = text.p[at];
        if (quoted && c == '\\')
            at++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            ++*depth;
        else if (!quoted && (c == '}' || c == ']') && --*depth == 0)
            return at + 1;
    }
    return text.len;
}

static bool give(struct line_text *ret, struct str text, uint64_t len, uint64_t number, size_t max)
{
    ret->len = len;
    ret->text = len <= max ? text : (struct str){0};
    ret->number = number;
    return true;
}

static bool give_collected(struct documents *documents, struct line_text *ret)
{
    documents->depth = 0;
    return give(ret, buf_str(&documents->text), documents->len, documents->from, documents->lines->max);
}

/* Adds the line to the document that is being collected. false: it continues. */
static bool collect(struct documents *documents, struct line_text *ret)
{
    struct str text = documents->line.text;
    size_t end = scan(&documents->depth, text, 0);
    bool ended = documents->depth == 0;
    documents->len += 1 + end;
    if (documents->len <= documents->lines->max) {
        buf_append(&documents->text, "\n", 1);
        buf_append(&documents->text, text.p, end);
    }
    documents->at = end;
    documents->has_line = ended && skip_blanks(documents, text, end) < text.len;
    return ended && give_collected(documents, ret);
}

/* Looks for a document in the rest of the line. false: there is none, or it continues in the next line. */
static bool begin(struct documents *documents, struct line_text *ret)
{
    struct str text = documents->line.text;
    size_t at = skip_blanks(documents, text, documents->at);
    documents->has_line = false;
    if (!documents->begun && at < text.len && text.p[at] == '[') {
        documents->in_array = true;
        at = skip_blanks(documents, text, at + 1);
    }
    if (at == text.len)
        return false;
    documents->begun = true;
    size_t end = text.p[at] == '{' ? scan(&documents->depth, text, at) : text.len;
    if (documents->depth == 0 && !documents->in_array)
        end = text.len; /* anything else on the line makes it invalid */
    struct str document = {text.p + at, end - at};
    documents->closed |= documents->in_array && text.p[at] != '{' && text.p[end - 1] == ']';
    if (documents->depth == 0) {
        documents->at = end;
        documents->has_line = skip_blanks(documents, text, end) < text.len;
        return give(ret, document, document.len, documents->line.number, documents->lines->max);
    }
    documents->text.len = 0;
    documents->len = document.len;
    documents->from = documents->line.number;
    buf_append_str(&documents->text, document);
    return false;
}

/* A line that is too long, or that begins another document although the previous one has no end. */
static bool interrupts(const struct documents *documents)
{
    const struct line_text *line = &documents->line;
    return line->len > documents->lines->max || (!documents->in_array && line->text.len > 0 && line->text.p[0] == '{');
}

static bool read_line(struct documents *documents)
{
    if (!documents->has_line) {
        documents->has_line = lines_next(documents->lines, &documents->line);
        documents->at = 0;
    }
    return documents->has_line;
}

bool documents_next(struct documents *documents, struct line_text *ret)
{
    while (read_line(documents)) {
        if (documents->depth > 0 && interrupts(documents))
            return give_collected(documents, ret);
        if (documents->line.len > documents->lines->max) {
            documents->has_line = false;
            *ret = documents->line;
            return true;
        }
        if (documents->depth > 0 ? collect(documents, ret) : begin(documents, ret))
            return true;
        documents->has_line = false;
    }
    if (!documents->lines->end)
        return false;
    bool cut = documents->in_array && !documents->closed;
    documents->closed = true;
    if (documents->depth > 0)
        return give_collected(documents, ret);
    return cut && give(ret, STR("["), 1, documents->line.number, documents->lines->max);
}

void documents_free(struct documents *documents)
{
    buf_free(&documents->text);
}
