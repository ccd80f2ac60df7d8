/*
 * The segments of a journal as found in its directory, oldest first. Read-only: tools use it beside a running daemon.
 */
#ifndef MOBEYE_JOURNAL_CHAIN_H
#define MOBEYE_JOURNAL_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/segment.h"

/* A segment file that does not belong to this journal: never read, never removed. */
struct foreign_segment {
    char *name;
    const char *why; /* static */
};

struct chain {
    struct segment *segments;
    size_t n, cap;
    struct foreign_segment *foreign;
    size_t n_foreign;
    size_t n_lost;      /* of those: the disk cannot read them, so they may be this journal's after all */
    uint8_t origin[16]; /* of all segments; zeros: there are none */
};

/* Examines every segment file. If there are files of several journals, those of `origin` are taken; if it is NULL or
 * has none, those of the journal with the most files. Fills only seq, nonce and bytes of the segments; verify_chain()
 * fills the rest. -1 with err: the directory or a file cannot be read. */
int chain_load(struct chain *chain, int dir_fd, const uint8_t *origin, struct err *err);
void chain_free(struct chain *chain);

/* Appends a zeroed segment and returns it; invalidates pointers into segments. */
struct segment *chain_add(struct chain *chain);
void chain_remove(struct chain *chain, size_t i);

/* The segment that holds seq, else the next one; NULL: seq is after the last. */
const struct segment *chain_find(const struct chain *chain, uint64_t seq);

/* Copies the name; why: static. */
void chain_add_foreign(struct chain *chain, const char *name, const char *why);

#endif
