/*
 * The book by what the fold asks: a thread by its id, the active threads of a device and kind, the incidents of a key.
 * Ids and keys are hashes; each question takes the same time however much is in the book. For fold.c alone.
 */
#ifndef MOBEYE_ENRICH_FOLD_INDEX_H
#define MOBEYE_ENRICH_FOLD_INDEX_H

#include "alert/incident.h"

/* A link to an element of the book: its index + 1; 0 is none. */
typedef uint32_t book_link;

/* The incidents of one key. */
struct key_incidents {
    book_link any;       /* one of them, or 0: the place in the table is free */
    book_link accepting; /* the last one that was; whether it still does, it says itself */
    book_link list; /* chained by fold_index.next_incident; those that the system closed drop out as they are met */
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
    book_link *next_incident; /* of each incident of the book, */
    book_link *next_thread;   /* and of each thread */
    bool *listed;             /* is the thread in the chain of its sender? */
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

/* The first incident of a key that the system has not closed, and the next; NO_INCIDENT: no more. */
size_t index_first(struct fold_index *index, struct key_incidents *key);
size_t index_next(struct fold_index *index, size_t incident);

/* What was added to the book, or became active. */
void index_add_incident(struct fold_index *index, size_t incident);
void index_add_thread(struct fold_index *index, size_t thread);
void index_activated(struct fold_index *index, size_t thread);

#endif
