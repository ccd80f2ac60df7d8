/*
 * Reads a table of messages; the format is described at the head of cloudevents.txt. For tests: a table that cannot be
 * read ends the program.
 */
#ifndef TESTS_MESSAGES_H
#define TESTS_MESSAGES_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ingest/decode_cloudevents.h"
#include "model/alert.h"

struct message {
    char *name;
    bool accept;
    uint32_t flags;        /* of one that is accepted */
    enum reject_code code; /* of one that is refused */
    char *field;           /* never NULL */
    struct buf id;         /* of the answer */
    struct buf bytes;
};

struct messages {
    struct message *all;
    size_t n;
    int64_t now_us;
    struct {
        char *name, *text;
    } macros[16];
    size_t n_macros;
};

static void messages_fail(const struct message *message, const char *what)
{
    fprintf(stderr, "messages: %s: %s\n", message ? message->name : "head", what);
    abort();
}

/* "-32d" after $NOW; moves *p past it. */
static int64_t messages_offset(const char **p)
{
    if ((**p != '+' && **p != '-') || !isdigit((unsigned char)(*p)[1]))
        return 0;
    char *unit;
    long long n = strtoll(*p, &unit, 10);
    int64_t us = *unit == 's'   ? CLOCK_SECOND
                 : *unit == 'm' ? CLOCK_MINUTE
                 : *unit == 'h' ? CLOCK_HOUR
                 : *unit == 'd' ? CLOCK_DAY
                                : 0;
    if (us == 0)
        return 0;
    *p = unit + 1;
    return n * us;
}

/* "(N TEXT)" after the dollar sign. Returns the end. */
static const char *messages_repeat(struct buf *out, const char *p)
{
    char *text;
    unsigned long n = strtoul(p + 1, &text, 10);
    const char *end = strchr(text, ')');
    if (!end || *text++ != ' ')
        abort();
    for (unsigned long i = 0; i < n; i++)
        for (const char *q = text; q < end; q++) {
            if (*q == '%')
                buf_printf(out, "%lu", i);
            else
                buf_append(out, q, 1);
        }
    return end + 1;
}

/* Expands the macros of text, once for macros within macros. */
static void messages_expand(const struct messages *table, struct buf *out, const char *p)
{
    while (*p) {
        char time[CLOCK_RFC3339_SIZE];
        size_t i = 0, len = 0;
        for (; *p == '$' && i < table->n_macros; i++) {
            len = strlen(table->macros[i].name);
            if (strncmp(p + 1, table->macros[i].name, len) == 0)
                break;
        }
        if (*p != '$') {
            buf_append(out, p++, 1);
        } else if (p[1] == '(') {
            p = messages_repeat(out, p + 1);
        } else if (strncmp(p, "$ID", 3) == 0) {
            buf_printf(out, "m-%zu", table->n);
            p += 3;
        } else if (strncmp(p, "$NOW", 4) == 0) {
            p += 4;
            int64_t us = table->now_us + messages_offset(&p);
            buf_printf(out, "%s", clock_format_rfc3339(us, 3, time));
        } else if (i < table->n_macros) {
            messages_expand(table, out, table->macros[i].text);
            p += 1 + len;
        } else {
            buf_append(out, p++, 1);
        }
    }
}

static void messages_unescape(struct buf *buf)
{
    size_t to = 0;
    for (size_t i = 0; i < buf->len; i++) {
        if (i + 3 < buf->len && buf->data[i] == '\\' && buf->data[i + 1] == 'x') {
            char hex[3] = {buf->data[i + 2], buf->data[i + 3], '\0'};
            buf->data[to++] = (char)strtoul(hex, NULL, 16);
            i += 3;
        } else {
            buf->data[to++] = buf->data[i];
        }
    }
    buf->len = to;
}

static void messages_flags(struct message *message, char *words)
{
    for (char *save, *word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        unsigned bit = 0;
        while (alert_flag_word(bit) && strcmp(alert_flag_word(bit), word) != 0)
            bit++;
        if (!alert_flag_word(bit))
            messages_fail(message, "no such flag");
        message->flags |= 1u << bit;
    }
}

static enum reject_code messages_code(const struct message *message, const char *word)
{
    for (int i = 0; i < REJECT_COUNT; i++)
        if (word && strcmp(reject_word((enum reject_code)i), word) == 0)
            return (enum reject_code)i;
    messages_fail(message, "no such code");
    return REJECT_COUNT;
}

/* The line of what is expected. Returns pad. */
static size_t messages_expected(const struct messages *table, struct message *message, const char *line)
{
    struct buf words = {0};
    messages_expand(table, &words, line);
    buf_append(&words, "", 1);
    buf_printf(&message->id, "m-%zu", table->n);
    size_t pad = 0;
    char *save, *word = strtok_r(words.data, " ", &save);
    message->accept = word && strcmp(word, "accept") == 0;
    message->field = mem_strdup("");
    if (!message->accept) {
        if (!word || strcmp(word, "reject") != 0)
            messages_fail(message, "neither accept nor reject");
        message->code = messages_code(message, strtok_r(NULL, " ", &save));
    }
    while ((word = strtok_r(NULL, " ", &save))) {
        if (strncmp(word, "id=", 3) == 0) {
            message->id.len = 0;
            buf_printf(&message->id, "%s", word + 3);
            messages_unescape(&message->id);
        } else if (strncmp(word, "pad=", 4) == 0) {
            pad = strtoul(word + 4, NULL, 10);
        } else if (strncmp(word, "schema=", 7) == 0) {
            continue;
        } else if (message->accept) {
            messages_flags(message, word);
        } else {
            free(message->field);
            message->field = mem_strdup(word);
        }
    }
    buf_free(&words);
    return pad;
}

/* A block: name, what is expected, message. */
static void messages_block(struct messages *table, char *block)
{
    char *expected = strchr(block, '\n');
    char *text = expected ? strchr(expected + 1, '\n') : NULL;
    table->all = mem_realloc(table->all, ++table->n, sizeof(*table->all));
    struct message *message = &table->all[table->n - 1];
    *message = (struct message){0};
    if (expected)
        *expected++ = '\0';
    message->name = mem_strdup(block);
    if (!text)
        messages_fail(message, "incomplete");
    *text++ = '\0';
    for (size_t len = strlen(text); len > 0 && text[len - 1] == '\n'; len--)
        text[len - 1] = '\0';
    size_t pad = messages_expected(table, message, expected);
    messages_expand(table, &message->bytes, text);
    messages_unescape(&message->bytes);
    while (message->bytes.len < pad)
        buf_append(&message->bytes, " ", 1);
}

static void messages_macros(struct messages *table, char *head)
{
    for (char *save, *line = strtok_r(head, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *text = strstr(line, " = ");
        if (*line != '$' || !text || table->n_macros == sizeof(table->macros) / sizeof(table->macros[0]))
            continue;
        table->macros[table->n_macros].name = mem_strndup(line + 1, (size_t)(text - line) - 1);
        table->macros[table->n_macros++].text = mem_strdup(text + 3);
    }
}

static char *messages_read_file(const char *path)
{
    struct buf text = {0};
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        abort();
    }
    for (size_t got; (got = fread(buf_reserve(&text, 65536), 1, 65536, file)) > 0;)
        text.len += got;
    fclose(file);
    buf_append(&text, "", 1);
    return text.data;
}

__attribute__((unused)) static struct messages messages_load(const char *path, int64_t now_us)
{
    struct messages table = {.now_us = now_us};
    char *text = messages_read_file(path), *next = strstr(text, "\n== ");
    if (!next)
        messages_fail(NULL, "no blocks");
    *next = '\0';
    messages_macros(&table, text);
    while (next) {
        char *block = next + strlen("\n== ");
        next = strstr(block, "\n== ");
        if (next)
            *next = '\0';
        messages_block(&table, block);
    }
    free(text);
    return table;
}

__attribute__((unused)) static void messages_free(struct messages *table)
{
    for (size_t i = 0; i < table->n; i++) {
        free(table->all[i].name);
        free(table->all[i].field);
        buf_free(&table->all[i].id);
        buf_free(&table->all[i].bytes);
    }
    for (size_t i = 0; i < table->n_macros; i++) {
        free(table->macros[i].name);
        free(table->macros[i].text);
    }
    free(table->all);
    *table = (struct messages){0};
}

#endif
