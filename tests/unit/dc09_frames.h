/* What the DC-09 tests share: the frames of tests/dc09/frames.txt and helpers. */
#ifndef TESTS_DC09_FRAMES_H
#define TESTS_DC09_FRAMES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ingest/dc09_reply.h"

enum { CASE_ALERTS_MAX = DC09_EVENTS_MAX, CASE_MAX = 300 };

struct frame_case {
    unsigned line; /* in the file */
    int64_t now_us;
    struct dc09_policy policy;
    bool nacked;
    struct buf frame;  /* CRC to before CR */
    char how;          /* '+' stored, '~' stored as stale, '-' not stored */
    struct buf answer; /* as frame; empty: none */
    char *alerts[CASE_ALERTS_MAX];
    size_t n_alerts;
};

struct frame_cases {
    struct frame_case cases[CASE_MAX];
    size_t n;
};

/* A slice's text after "%.*s". */
#define TEXT(s) (int)(s).len, (s).p

static inline void unescape(const char *text, struct buf *out)
{
    for (const char *p = text; *p; p++) {
        unsigned byte = (unsigned char)*p;
        if (p[0] == '\\' && p[1] == 'x') {
            cr_assert_eq(sscanf(p + 2, "%2x", &byte), 1);
            p += 3;
        }
        buf_append(out, &(char){(char)byte}, 1);
    }
}

static inline void read_case_line(struct frame_cases *all, struct frame_case *next, unsigned line, char *text)
{
    char *rest = strchr(text, ' ');
    rest = rest ? rest + 1 : text + strlen(text);
    if (strncmp(text, "now ", 4) == 0) {
        cr_assert(clock_parse_rfc3339(str_from(rest), &next->now_us), "line %u", line);
    } else if (strncmp(text, "policy ", 7) == 0) {
        next->policy.check_time = strstr(rest, "check_time") != NULL;
        next->policy.require_encryption = strstr(rest, "require_encryption") != NULL;
        next->nacked = strstr(rest, "nacked") != NULL;
    } else if (strncmp(text, "frame", 5) == 0) {
        cr_assert_lt(all->n, (size_t)CASE_MAX);
        next->line = line;
        all->cases[all->n] = *next;
        unescape(rest, &all->cases[all->n++].frame);
    } else if (strncmp(text, "answer ", 7) == 0) {
        struct frame_case *current = &all->cases[all->n - 1];
        current->how = rest[0];
        if (strcmp(rest + 1, "none") != 0)
            unescape(rest + 1, &current->answer);
    } else if (strncmp(text, "alert ", 6) == 0) {
        struct frame_case *current = &all->cases[all->n - 1];
        current->alerts[current->n_alerts++] = strdup(rest);
    } else {
        cr_assert(text[0] == '\0' || text[0] == '#', "line %u is none of the known ones: %s", line, text);
    }
}

static inline struct frame_cases *load_frames(void)
{
    FILE *file = fopen(MOBEYE_SOURCE "/tests/dc09/frames.txt", "r");
    cr_assert_not_null(file);
    struct frame_cases *all = mem_zalloc(sizeof(*all));
    struct frame_case next = {0};
    char *text = NULL;
    size_t cap = 0;
    for (unsigned line = 1; getline(&text, &cap, file) >= 0; line++) {
        text[strcspn(text, "\n")] = '\0';
        read_case_line(all, &next, line, text);
    }
    free(text);
    fclose(file);
    cr_assert_gt(all->n, (size_t)100);
    return all;
}

static inline void free_frames(struct frame_cases *all)
{
    for (size_t i = 0; i < all->n; i++) {
        buf_free(&all->cases[i].frame);
        buf_free(&all->cases[i].answer);
        for (size_t k = 0; k < all->cases[i].n_alerts; k++)
            free(all->cases[i].alerts[k]);
    }
    free(all);
}

/* LF, the bytes, CR. */
static inline struct buf on_the_wire(struct str line)
{
    struct buf wire = {0};
    buf_append(&wire, "\n", 1);
    buf_append_str(&wire, line);
    buf_append(&wire, "\r", 1);
    return wire;
}

/* A private file with this text and mode; unlink() and free() the path. */
static inline char *private_file(const void *text, size_t len, mode_t mode)
{
    char *path = strdup("/tmp/mobeye-dc09-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

/* The keys of tests/dc09/keys, from a copy with an acceptable mode (git does not keep modes). */
static inline struct dc09_keys *load_keys(void)
{
    FILE *file = fopen(MOBEYE_SOURCE "/tests/dc09/keys", "r");
    cr_assert_not_null(file);
    char text[4096];
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    char *path = private_file(text, len, 0600);
    struct err err = {{0}};
    struct dc09_keys *keys = dc09_keys_load(path, &err);
    unlink(path);
    free(path);
    cr_assert_not_null(keys, "%s", err.text);
    return keys;
}

/* Our own generator, so that a failure can be reproduced: splitmix64. */
static uint64_t random_state;

static inline uint64_t random_bits(void)
{
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline unsigned below(unsigned n)
{
    return (unsigned)(random_bits() % n);
}

/* A body that is well-formed only by its CRC: what the parser after the CRC check gets from hostile senders. */
static inline void mutate(struct buf *body)
{
    static const char *const pieces[] = {"[",         "]",
                                         "|",         "\"",
                                         "#",         "_",
                                         "/",         "N",
                                         "*",         "X",
                                         "^",         "\r",
                                         "\n",        "L",
                                         "R",         " ",
                                         "ri",        "BA",
                                         "99999999",  "[X5.5]",
                                         "\0",        "%n",
                                         "[]",        "[[",
                                         "0x1p9",     "1e9",
                                         "-",         ".",
                                         "\xff",      "1130",
                                         "65535",     "65536",
                                         "NHA100001", "NPA2147483648"};
    for (unsigned n = 1 + below(4); n > 0; n--) {
        const char *piece = pieces[below(sizeof(pieces) / sizeof(pieces[0]))];
        size_t at = below((unsigned)body->len + 1), cut = below(3) == 0 ? below((unsigned)(body->len - at) + 1) : 0;
        struct buf changed = {0};
        buf_append(&changed, body->data, at);
        buf_append(&changed, piece, strlen(piece) ? strlen(piece) : 1);
        buf_append(&changed, body->data + at + cut, body->len - at - cut);
        buf_free(body);
        *body = changed;
    }
}

#endif
