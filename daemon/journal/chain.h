/*
 * The segments of a journal, oldest first, as they are found in its directory; read-only, so that it serves the tools
 * beside a running daemon as well.
 */
#ifndef MOBEYE_JOURNAL_CHAIN_H
#define MOBEYE_JOURNAL_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/segment.h"

/* A segment file that is not of this journal: never read, never removed. */
struct foreign_segment {
    char *name;
    const char *why; /* static */
};

struct chain {
    struct segment *segments;
    size_t n, cap;
    struct foreign_segment *foreign;
    size_t n_foreign;
    uint8_t origin[16]; /* of all segments; zeros where there is none */
};

/* Looks at every segment file. Where files of several journals lie together, those of `origin` are taken, or, where
 * that is NULL or has none, those of the journal with the most files. Only seq, nonce and bytes of the segments are
 * filled; check_chain() fills the rest. */
int chain_load(struct chain *chain, int dir_fd, const uint8_t *origin, struct err *err);
void chain_free(struct chain *chain);

/* Makes room for one more at the end and returns it, zeroed. */
struct segment *chain_add(struct chain *chain);
void chain_remove(struct chain *chain, size_t i);

/* The segment that seq is in or, where none holds it, the next one; NULL: seq lies behind the last. */
const struct segment *chain_find(const struct chain *chain, uint64_t seq);

void chain_add_foreign(struct chain *chain, const char *name, const char *why);

#endif
