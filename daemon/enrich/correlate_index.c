#include "enrich/correlate_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static uint64_t word_at(const uint8_t *bytes)
{
    uint64_t w;
    memcpy(&w, bytes, sizeof(w));
    return w;
}

/* The slot where the search in a table begins: which ids share a slot depends on the odd factor, which no sender
 * knows. */
static size_t first_slot(const struct correlate_index *index, uint64_t hash)
{
    return (size_t)((hash * index->factor) >> index->shift);
}

static uint64_t hash_of(const uint8_t id[INCIDENT_KEY_BYTES])
{
    return word_at(id) ^ (word_at(id + 8) << 1 | word_at(id + 8) >> 63);
}

static size_t index_of(incident_link link)
{
    return link == 0 ? NO_INCIDENT : link - 1;
}

/* The slot of the condition, or the free one where it belongs. */
static incident_link *condition_slot(const struct correlate_index *index, const uint8_t *id)
{
    size_t at = first_slot(index, hash_of(id));
    while (index->conditions[at] &&
           memcmp(index->set->conditions[index->conditions[at] - 1].id, id, INCIDENT_KEY_BYTES) != 0)
        at = (at + 1) & index->mask;
    return &index->conditions[at];
}

static struct source_conditions *source_slot(const struct correlate_index *index, const uint8_t *id)
{
    size_t at = first_slot(index, word_at(id));
    while (index->sources[at].any && word_at(index->set->conditions[index->sources[at].any - 1].id) != word_at(id))
        at = (at + 1) & index->mask;
    return &index->sources[at];
}

static struct key_incidents *key_slot(const struct correlate_index *index, const uint8_t *key)
{
    size_t at = first_slot(index, hash_of(key));
    while (index->keys[at].any &&
           memcmp(index->set->incidents[index->keys[at].any - 1].key, key, INCIDENT_KEY_BYTES) != 0)
        at = (at + 1) & index->mask;
    return &index->keys[at];
}

void index_open(struct correlate_index *index, struct incident_set *set, size_t growth)
{
    size_t incidents = set->n_incidents + growth, conditions = set->n_conditions + growth;
    unsigned bits = 4;
    while (((size_t)1 << bits) < 2 * incidents || ((size_t)1 << bits) < 2 * conditions) /* at most half full */
        bits++;
    *index = (struct correlate_index){.set = set, .shift = 64 - bits, .mask = ((size_t)1 << bits) - 1};
    arc4random_buf(&index->factor, sizeof(index->factor));
    index->factor |= 1;
    index->conditions = mem_zalloc((index->mask + 1) * sizeof(*index->conditions));
    index->sources = mem_zalloc((index->mask + 1) * sizeof(*index->sources));
    index->keys = mem_zalloc((index->mask + 1) * sizeof(*index->keys));
    index->next_condition = mem_zalloc(conditions * sizeof(*index->next_condition));
    index->listed = mem_zalloc(conditions * sizeof(*index->listed));
    for (size_t i = 0; i < set->n_incidents; i++)
        index_add_incident(index, i);
    for (size_t i = 0; i < set->n_conditions; i++)
        index_add_condition(index, i);
}

void index_close(struct correlate_index *index)
{
    free(index->conditions);
    free(index->sources);
    for (size_t i = 0; i <= index->mask; i++)
        free(index->keys[i].list);
    free(index->keys);
    free(index->next_condition);
    free(index->listed);
}

size_t index_condition(const struct correlate_index *index, const uint8_t id[INCIDENT_KEY_BYTES])
{
    return index_of(*condition_slot(index, id));
}

/* Removes conditions that are no longer active from the chain, up to the first that is active. */
static size_t first_active(struct correlate_index *index, incident_link *chain)
{
    while (*chain && !index->set->conditions[*chain - 1].active) {
        index->listed[*chain - 1] = false;
        *chain = index->next_condition[*chain - 1];
    }
    return index_of(*chain);
}

size_t index_active(struct correlate_index *index, const uint8_t id[INCIDENT_KEY_BYTES])
{
    return first_active(index, &source_slot(index, id)->active);
}

size_t index_next_active(struct correlate_index *index, size_t condition)
{
    return first_active(index, &index->next_condition[condition]);
}

struct key_incidents *index_key(const struct correlate_index *index, const uint8_t key[INCIDENT_KEY_BYTES])
{
    struct key_incidents *found = key_slot(index, key);
    return found->any ? found : NULL;
}

size_t index_accepting(const struct correlate_index *index, const struct key_incidents *key)
{
    size_t incident = index_of(key->accepting);
    return incident != NO_INCIDENT && index->set->incidents[incident].accepting ? incident : NO_INCIDENT;
}

static bool closed_by_system(const struct incident *incident)
{
    return incident->closed && !incident->by_person;
}

static incident_link *incidents_of(struct key_incidents *key)
{
    return key->cap > 0 ? key->list : &key->only;
}

static int64_t first_seen(const struct correlate_index *index, incident_link link)
{
    return index->set->incidents[link - 1].first_seen_us;
}

/* The position of the first incident in the list that does not begin before first_us. */
static size_t lower_bound(const struct correlate_index *index, struct key_incidents *key, int64_t first_us)
{
    const incident_link *list = incidents_of(key);
    size_t low = 0, high = key->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (first_seen(index, list[middle]) < first_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void widen_reach(struct key_incidents *key, const struct incident *incident)
{
    int64_t gap_us = incident->terms.gap_us, reach_us = incident->last_seen_us + gap_us - incident->first_seen_us;
    key->gap_us = gap_us > key->gap_us ? gap_us : key->gap_us;
    key->reach_us = reach_us > key->reach_us ? reach_us : key->reach_us;
}

static void add_to_key(struct correlate_index *index, struct key_incidents *key, size_t incident)
{
    if (key->n == (key->cap ? key->cap : 1)) {
        uint32_t cap = key->cap ? 2 * key->cap : 4;
        bool had_one = key->cap == 0;
        key->list = mem_realloc(key->list, cap, sizeof(*key->list));
        key->cap = cap;
        if (had_one)
            key->list[0] = key->only;
    }
    const struct incident *inserted = &index->set->incidents[incident];
    size_t at = lower_bound(index, key, inserted->first_seen_us);
    incident_link *list = incidents_of(key);
    memmove(list + at + 1, list + at, (key->n - at) * sizeof(*list));
    list[at] = (incident_link)(incident + 1);
    key->n++;
    widen_reach(key, inserted);
}

/* false: it is no longer in the list. */
static bool remove_from_key(struct correlate_index *index, struct key_incidents *key, size_t incident)
{
    incident_link *list = incidents_of(key);
    size_t at = lower_bound(index, key, index->set->incidents[incident].first_seen_us);
    while (at < key->n && list[at] != incident + 1)
        at++;
    if (at == key->n)
        return false;
    memmove(list + at, list + at + 1, (key->n - at - 1) * sizeof(*list));
    key->n--;
    return true;
}

const incident_link *index_near(struct correlate_index *index, struct key_incidents *key, int64_t at_us, size_t *ret_n)
{
    incident_link *list = incidents_of(key);
    size_t from = lower_bound(index, key, at_us - key->reach_us), kept = from, to = from;
    for (; to < key->n && first_seen(index, list[to]) <= at_us + key->gap_us; to++)
        if (!closed_by_system(&index->set->incidents[list[to] - 1]))
            list[kept++] = list[to];
    if (kept < to) {
        memmove(list + kept, list + to, (key->n - to) * sizeof(*list));
        key->n -= (uint32_t)(to - kept);
    }
    *ret_n = kept - from;
    return list + from;
}

void index_extend(struct correlate_index *index, size_t incident, int64_t at_us)
{
    struct incident *extended = &index->set->incidents[incident];
    if (at_us >= extended->first_seen_us && at_us <= extended->last_seen_us)
        return;
    struct key_incidents *key = key_slot(index, extended->key);
    if (at_us > extended->last_seen_us) {
        extended->last_seen_us = at_us;
        widen_reach(key, extended);
        return;
    }
    bool listed = remove_from_key(index, key, incident);
    extended->first_seen_us = at_us;
    if (listed)
        add_to_key(index, key, incident);
}

void index_add_incident(struct correlate_index *index, size_t incident)
{
    const struct incident *added = &index->set->incidents[incident];
    struct key_incidents *key = key_slot(index, added->key);
    incident_link link = (incident_link)(incident + 1);
    key->any = key->any ? key->any : link;
    key->accepting = added->accepting ? link : key->accepting;
    add_to_key(index, key, incident);
}

void index_add_condition(struct correlate_index *index, size_t condition)
{
    const struct condition *added = &index->set->conditions[condition];
    struct source_conditions *source = source_slot(index, added->id);
    *condition_slot(index, added->id) = (incident_link)(condition + 1);
    source->any = source->any ? source->any : (incident_link)(condition + 1);
    if (added->active)
        index_activated(index, condition);
}

void index_activated(struct correlate_index *index, size_t condition)
{
    if (index->listed[condition])
        return;
    struct source_conditions *source = source_slot(index, index->set->conditions[condition].id);
    index->listed[condition] = true;
    index->next_condition[condition] = source->active;
    source->active = (incident_link)(condition + 1);
}
