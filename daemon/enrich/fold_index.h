/*
 * The book by what the fold asks: a thread by its id, the active threads of a device and kind, the incidents of a key.
 * Ids and keys are hashes; each question takes the same time however much is in the book. For fold.c alone.
 */
#ifndef MOBEYE_ENRICH_FOLD_INDEX_H
#define MOBEYE_ENRICH_FOLD_INDEX_H

#include "alert/incident.h"

/* A link to an element of the book: its index + 1; 0 is none. */
typedef uint32_t book_link;

/* The incidents of one key. Invariant: list has them in the order of first_seen_us, but for those that the system
 * closed, which drop out as they are met; every one reaches from its first_seen_us - gap_us to first_seen_us + reach_us
 * at most. */
struct key_incidents {
    book_link any;       /* one of them, or 0: the place in the table is free */
    book_link accepting; /* the last one that was; whether it still does, it says itself */
    book_link only;      /* the list, while cap is 0 */
    book_link *list;
    uint32_t n, cap;
    int64_t gap_us, reach_us;
};

/* The threads of one device and kind. */
struct sender_threads {
    book_link any;    /* one of them, or 0: the place in the table is free */
    book_link active; /* chained by fold_index.next_thread; those that are no longer active drop out as they are met */
};

struct fold_index {
    struct book *book;
    unsigned shift; /* of a 64-bit hash, to a place in the tables */
    size_t mask;
    book_link *threads;
    struct sender_threads *senders;
    struct key_incidents *keys;
    book_link *next_thread; /* of each thread of the book */
    bool *listed;           /* is the thread in the chain of its sender? */
};

/* Of the book, which may grow by as many incidents and threads as said. */
void index_open(struct fold_index *index, struct book *book, size_t growth);
void index_close(struct fold_index *index);

/* NO_INCIDENT where the book has none. */
size_t index_thread(const struct fold_index *index, const uint8_t id[INCIDENT_KEY_BYTES]);

/* The first active thread of the device and kind that the thread id begins with, and the next; NO_INCIDENT: no more. */
size_t index_active(struct fold_index *index, const uint8_t id[INCIDENT_KEY_BYTES]);
size_t index_next_active(struct fold_index *index, size_t thread);

/* NULL where the book has no incident of the key. Stands until index_close(). */
struct key_incidents *index_key(const struct fold_index *index, const uint8_t key[INCIDENT_KEY_BYTES]);

/* Its incident that accepts, or NO_INCIDENT. */
size_t index_accepting(const struct fold_index *index, const struct key_incidents *key);

/* The incidents of the key that may reach to that time, as links; the system has closed none of them. Until something
 * is added. */
const book_link *index_around(struct fold_index *index, struct key_incidents *key, int64_t at_us, size_t *ret_n);

/* Widens the incident's time to include that one. */
void index_extend(struct fold_index *index, size_t incident, int64_t at_us);

/* What was added to the book, or became active. */
void index_add_incident(struct fold_index *index, size_t incident);
void index_add_thread(struct fold_index *index, size_t thread);
void index_activated(struct fold_index *index, size_t thread);

#endif
