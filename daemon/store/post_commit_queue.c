#include "store/post_commit_queue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/param.h"

/* Bounds of memory: some MiB of raises. Hints are best effort; those above are dropped. */
#define RAISES_MAX   50000
#define HINTS_MAX    2000
#define HINTS_ALERTS 1000 /* of them for alerts that joined: each replaces the previous one */
#define HINTS_ONCE   500

const char post_commit_verify_sql[] = "select mobeye.verify_incidents($1, $2, $3, $4, $5)";
const char post_commit_announce_sql[] = "select mobeye.notify_incidents($1, $2)";

const Oid post_commit_verify_types[POST_COMMIT_VERIFY_PARAMS] = {
    TYPE_INT8_ARRAY, TYPE_TEXT_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_REAL};
const Oid post_commit_announce_types[POST_COMMIT_ANNOUNCE_PARAMS] = {TYPE_INT8_ARRAY, TYPE_TEXT_ARRAY};

void post_commit_queue_free(struct post_commit_queue *queue)
{
    free(queue->raises);
    free(queue->hints);
    *queue = (struct post_commit_queue){0};
}

void post_commit_queue_hint(struct post_commit_queue *queue, uint64_t incident, enum incident_op op)
{
    if (queue->n_hints >= (op == INCIDENT_ALERT ? HINTS_ALERTS : HINTS_MAX))
        return;
    if (queue->n_hints == queue->cap_hints) {
        queue->cap_hints = queue->cap_hints ? 2 * queue->cap_hints : 64;
        queue->hints = mem_realloc(queue->hints, queue->cap_hints, sizeof(*queue->hints));
    }
    queue->hints[queue->n_hints++] = (struct incident_change){.id = incident, .op = op};
}

static bool is_of_incident_and_device(const struct queued_raise *x, uint64_t incident, struct str device)
{
    return x->incident == incident && str_eq((struct str){x->device, x->device_len}, device);
}

static void widen_times(struct queued_raise *raise, int64_t from_us, int64_t until_us)
{
    raise->from_us = from_us < raise->from_us ? from_us : raise->from_us;
    raise->until_us = until_us > raise->until_us ? until_us : raise->until_us;
}

static void keep_raise(struct post_commit_queue *queue, const struct queued_raise *raise)
{
    if (queue->n_raises == RAISES_MAX) {
        queue->n_dropped++;
        return;
    }
    if (queue->n_raises == queue->cap_raises) {
        queue->cap_raises = queue->cap_raises ? 2 * queue->cap_raises : 64;
        queue->raises = mem_realloc(queue->raises, queue->cap_raises, sizeof(*queue->raises));
    }
    queue->raises[queue->n_raises++] = *raise;
}

/* `last`: the position, from 1, of the incident's last raise in this batch; 0: it has none yet. */
static void add_raise(struct post_commit_queue *queue, const struct alert *alert, uint64_t incident, uint32_t *last)
{
    if (*last > 0 && is_of_incident_and_device(&queue->raises[*last - 1], incident, alert->device)) {
        widen_times(&queue->raises[*last - 1], alert->occurred_us, alert->occurred_us);
        return;
    }
    struct queued_raise raise = {incident, alert->occurred_us, alert->occurred_us, (uint8_t)alert->device.len, {0}};
    memcpy(raise.device, alert->device.p, alert->device.len);
    keep_raise(queue, &raise);
    *last = (uint32_t)queue->n_raises;
}

void post_commit_queue_widen(struct post_commit_queue *queue, bool verifies, double radius_m)
{
    queue->verifies |= verifies;
    queue->reach_m = radius_m > queue->reach_m ? radius_m : queue->reach_m;
}

void post_commit_queue_batch(struct post_commit_queue *queue, const struct batch *batch, const uint8_t *stored,
                             const struct incident_rows *rows, int64_t now_us)
{
    const struct incident_set *set = &rows->set;
    if (queue->n_raises + queue->n_sent == 0)
        queue->since_us = now_us;
    for (size_t i = 0; i < rows->n_changes; i++)
        post_commit_queue_hint(queue, rows->changes[i].id, rows->changes[i].op);
    if (set->n_incidents == 0)
        return;
    uint32_t *last = mem_zalloc(set->n_incidents * sizeof(*last));
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (!stored[i] || alert->incident == NO_INCIDENT || alert->phase != PHASE_RAISE)
            continue;
        const struct incident *incident = &set->incidents[alert->incident];
        if (queue->verifies && incident->raised)
            add_raise(queue, alert, incident->id, &last[alert->incident]);
    }
    free(last);
}

int64_t post_commit_queue_waited_us(const struct post_commit_queue *queue, int64_t now_us)
{
    return queue->n_raises + queue->n_sent > 0 ? now_us - queue->since_us : 0;
}

static int compare_raises(const void *a, const void *b)
{
    const struct queued_raise *x = a, *y = b;
    if (x->incident != y->incident)
        return x->incident < y->incident ? -1 : 1;
    return memcmp(x->device, y->device, sizeof(x->device));
}

/* Merges the raises of a device in an incident from several batches into one. */
static void merge_raises(struct post_commit_queue *queue)
{
    size_t kept = 0;
    qsort(queue->raises, queue->n_raises, sizeof(*queue->raises), compare_raises);
    for (size_t i = 0; i < queue->n_raises; i++) {
        struct queued_raise *raise = &queue->raises[i];
        if (kept > 0 && compare_raises(&queue->raises[kept - 1], raise) == 0)
            widen_times(&queue->raises[kept - 1], raise->from_us, raise->until_us);
        else
            queue->raises[kept++] = *raise;
    }
    queue->n_raises = kept;
}

void post_commit_queue_encode_raises(struct post_commit_queue *queue, struct buf values[POST_COMMIT_VERIFY_PARAMS])
{
    uint32_t bits;
    float reach_m = (float)queue->reach_m;
    merge_raises(queue);
    size_t n = queue->n_raises < POST_COMMIT_RAISES_ONCE ? queue->n_raises : POST_COMMIT_RAISES_ONCE;
    queue->n_raises -= n; /* the newest incidents */
    queue->n_sent = n;
    memcpy(queue->sent, queue->raises + queue->n_raises, n * sizeof(*queue->sent));
    param_array(&values[0], TYPE_INT8, n);
    param_array(&values[1], TYPE_TEXT, n);
    param_array(&values[2], TYPE_TIMESTAMPTZ, n);
    param_array(&values[3], TYPE_TIMESTAMPTZ, n);
    for (size_t i = 0; i < n; i++) {
        const struct queued_raise *raise = &queue->sent[i];
        param_int8(&values[0], (int64_t)raise->incident);
        param_text(&values[1], (struct str){raise->device, raise->device_len});
        param_time(&values[2], raise->from_us);
        param_time(&values[3], raise->until_us);
    }
    memcpy(&bits, &reach_m, sizeof(bits));
    buf_be32(&values[4], bits);
}

void post_commit_queue_encode_hints(struct post_commit_queue *queue, struct buf values[POST_COMMIT_ANNOUNCE_PARAMS])
{
    size_t n = queue->n_hints < HINTS_ONCE ? queue->n_hints : HINTS_ONCE;
    queue->encoded_hints = n;
    param_array(&values[0], TYPE_INT8, n);
    param_array(&values[1], TYPE_TEXT, n);
    for (size_t i = 0; i < n; i++) {
        param_int8(&values[0], (int64_t)queue->hints[i].id);
        param_text(&values[1], str_from(incident_op_word(queue->hints[i].op)));
    }
}

void post_commit_queue_verified(struct post_commit_queue *queue)
{
    queue->n_sent = 0;
    if (queue->n_raises > 0 || queue->n_dropped == 0)
        return;
    log_warning("post-commit",
                "verification caught up, but %" PRIu64
                " raises were not compared with others nearby: too many waited. A person can verify their incidents",
                queue->n_dropped);
    queue->n_dropped = 0;
}

void post_commit_queue_unverified(struct post_commit_queue *queue)
{
    for (size_t i = 0; i < queue->n_sent; i++)
        keep_raise(queue, &queue->sent[i]);
    queue->n_sent = 0;
}

void post_commit_queue_announced(struct post_commit_queue *queue)
{
    queue->n_hints -= queue->encoded_hints;
    memmove(queue->hints, queue->hints + queue->encoded_hints, queue->n_hints * sizeof(*queue->hints));
    queue->encoded_hints = 0;
}
