#include "enrich/fold_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static uint64_t word(const uint8_t *bytes)
{
    uint64_t w;
    memcpy(&w, bytes, sizeof(w));
    return w;
}

/* Where the search in a table begins. The ids are good hashes already; the product takes care of any that are not. */
static size_t place(const struct fold_index *index, uint64_t hash)
{
    return (size_t)((hash * UINT64_C(0x9E3779B97F4A7C15)) >> index->shift);
}

static uint64_t hash_of(const uint8_t id[INCIDENT_KEY_BYTES])
{
    return word(id) ^ (word(id + 8) << 1 | word(id + 8) >> 63);
}

static size_t element(book_link l)
{
    return l == 0 ? NO_INCIDENT : l - 1;
}

/* The thread's place in its table, or the free one where it belongs. */
static book_link *thread_place(const struct fold_index *index, const uint8_t *id)
{
    size_t at = place(index, hash_of(id));
    while (index->threads[at] && memcmp(index->book->threads[index->threads[at] - 1].id, id, INCIDENT_KEY_BYTES) != 0)
        at = (at + 1) & index->mask;
    return &index->threads[at];
}

static struct sender_threads *sender_place(const struct fold_index *index, const uint8_t *id)
{
    size_t at = place(index, word(id));
    while (index->senders[at].any && word(index->book->threads[index->senders[at].any - 1].id) != word(id))
        at = (at + 1) & index->mask;
    return &index->senders[at];
}

static struct key_incidents *key_place(const struct fold_index *index, const uint8_t *key)
{
    size_t at = place(index, hash_of(key));
    while (index->keys[at].any &&
           memcmp(index->book->incidents[index->keys[at].any - 1].key, key, INCIDENT_KEY_BYTES) != 0)
        at = (at + 1) & index->mask;
    return &index->keys[at];
}

void index_open(struct fold_index *index, struct book *book, size_t growth)
{
    size_t incidents = book->n_incidents + growth, threads = book->n_threads + growth;
    unsigned bits = 4;
    while (((size_t)1 << bits) < 2 * incidents || ((size_t)1 << bits) < 2 * threads) /* at most half full */
        bits++;
    *index = (struct fold_index){.book = book, .shift = 64 - bits, .mask = ((size_t)1 << bits) - 1};
    index->threads = mem_zalloc((index->mask + 1) * sizeof(*index->threads));
    index->senders = mem_zalloc((index->mask + 1) * sizeof(*index->senders));
    index->keys = mem_zalloc((index->mask + 1) * sizeof(*index->keys));
    index->next_incident = mem_zalloc(incidents * sizeof(*index->next_incident));
    index->next_thread = mem_zalloc(threads * sizeof(*index->next_thread));
    index->listed = mem_zalloc(threads * sizeof(*index->listed));
    for (size_t i = 0; i < book->n_incidents; i++)
        index_add_incident(index, i);
    for (size_t i = 0; i < book->n_threads; i++)
        index_add_thread(index, i);
}

void index_close(struct fold_index *index)
{
    free(index->threads);
    free(index->senders);
    free(index->keys);
    free(index->next_incident);
    free(index->next_thread);
    free(index->listed);
}

size_t index_thread(const struct fold_index *index, const uint8_t id[INCIDENT_KEY_BYTES])
{
    return element(*thread_place(index, id));
}

/* Takes threads that are no longer active out of the chain, up to the first that is. */
static size_t first_active(struct fold_index *index, book_link *chain)
{
    while (*chain && !index->book->threads[*chain - 1].active) {
        index->listed[*chain - 1] = false;
        *chain = index->next_thread[*chain - 1];
    }
    return element(*chain);
}

size_t index_active(struct fold_index *index, const uint8_t id[INCIDENT_KEY_BYTES])
{
    return first_active(index, &sender_place(index, id)->active);
}

size_t index_next_active(struct fold_index *index, size_t thread)
{
    return first_active(index, &index->next_thread[thread]);
}

struct key_incidents *index_key(const struct fold_index *index, const uint8_t key[INCIDENT_KEY_BYTES])
{
    struct key_incidents *found = key_place(index, key);
    return found->any ? found : NULL;
}

size_t index_accepting(const struct fold_index *index, const struct key_incidents *key)
{
    size_t incident = element(key->accepting);
    return incident != NO_INCIDENT && index->book->incidents[incident].accepting ? incident : NO_INCIDENT;
}

static size_t first_not_closed_by_system(struct fold_index *index, book_link *chain)
{
    const struct incident *incidents = index->book->incidents;
    while (*chain && incidents[*chain - 1].closed && !incidents[*chain - 1].by_person)
        *chain = index->next_incident[*chain - 1];
    return element(*chain);
}

size_t index_first(struct fold_index *index, struct key_incidents *key)
{
    return first_not_closed_by_system(index, &key->list);
}

size_t index_next(struct fold_index *index, size_t incident)
{
    return first_not_closed_by_system(index, &index->next_incident[incident]);
}

void index_add_incident(struct fold_index *index, size_t incident)
{
    const struct incident *added = &index->book->incidents[incident];
    struct key_incidents *key = key_place(index, added->key);
    book_link l = (book_link)(incident + 1);
    key->any = key->any ? key->any : l;
    key->accepting = added->accepting ? l : key->accepting;
    index->next_incident[incident] = key->list;
    key->list = l;
}

void index_add_thread(struct fold_index *index, size_t thread)
{
    const struct thread *added = &index->book->threads[thread];
    struct sender_threads *sender = sender_place(index, added->id);
    *thread_place(index, added->id) = (book_link)(thread + 1);
    sender->any = sender->any ? sender->any : (book_link)(thread + 1);
    if (added->active)
        index_activated(index, thread);
}

void index_activated(struct fold_index *index, size_t thread)
{
    if (index->listed[thread])
        return;
    struct sender_threads *sender = sender_place(index, index->book->threads[thread].id);
    index->listed[thread] = true;
    index->next_thread[thread] = sender->active;
    sender->active = (book_link)(thread + 1);
}
