#include "store/follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/copyrow.h"
#include "store/param.h"

#define RAISES_MAX   50000
#define HINTS_MAX    2000
#define HINTS_ALERTS 1000 /* of them for alerts that joined: each replaces the one before it */
#define HINTS_ONCE   500

const char follow_verify_sql[] = "select mobeye.verify_incidents($1, $2, $3, $4, $5)";
const char follow_announce_sql[] = "select mobeye.announce($1, $2)";

const Oid follow_verify_types[FOLLOW_VERIFY_PARAMS] = {TYPE_INT8_ARRAY, TYPE_TEXT_ARRAY, TYPE_TIMESTAMPTZ_ARRAY,
                                                       TYPE_TIMESTAMPTZ_ARRAY, TYPE_REAL};
const Oid follow_announce_types[FOLLOW_ANNOUNCE_PARAMS] = {TYPE_INT8_ARRAY, TYPE_TEXT_ARRAY};

void follow_free(struct follow *follow)
{
    free(follow->raises);
    free(follow->hints);
    *follow = (struct follow){0};
}

void follow_hint(struct follow *follow, uint64_t incident, enum incident_op op)
{
    if (follow->n_hints >= (op == INCIDENT_ALERT ? HINTS_ALERTS : HINTS_MAX))
        return;
    if (follow->n_hints == follow->cap_hints) {
        follow->cap_hints = follow->cap_hints ? 2 * follow->cap_hints : 64;
        follow->hints = mem_realloc(follow->hints, follow->cap_hints, sizeof(*follow->hints));
    }
    follow->hints[follow->n_hints++] = (struct incident_change){.id = incident, .op = op};
}

static bool same(const struct follow_raise *x, uint64_t incident, struct str device)
{
    return x->incident == incident && str_eq((struct str){x->device, x->device_len}, device);
}

static void widen(struct follow_raise *raise, int64_t from_us, int64_t until_us)
{
    raise->from_us = from_us < raise->from_us ? from_us : raise->from_us;
    raise->until_us = until_us > raise->until_us ? until_us : raise->until_us;
}

static void keep_raise(struct follow *follow, const struct follow_raise *raise)
{
    if (follow->n_raises == RAISES_MAX)
        return;
    if (follow->n_raises == follow->cap_raises) {
        follow->cap_raises = follow->cap_raises ? 2 * follow->cap_raises : 64;
        follow->raises = mem_realloc(follow->raises, follow->cap_raises, sizeof(*follow->raises));
    }
    follow->raises[follow->n_raises++] = *raise;
}

/* `last` is where the incident's last raise of this batch is, from 1; 0: it has none yet. */
static void add_raise(struct follow *follow, const struct alert *alert, uint64_t incident, uint32_t *last)
{
    if (*last > 0 && same(&follow->raises[*last - 1], incident, alert->device)) {
        widen(&follow->raises[*last - 1], alert->occurred_us, alert->occurred_us);
        return;
    }
    struct follow_raise raise = {incident, alert->occurred_us, alert->occurred_us, (uint8_t)alert->device.len, {0}};
    memcpy(raise.device, alert->device.p, alert->device.len);
    keep_raise(follow, &raise);
    *last = (uint32_t)follow->n_raises;
}

static void note_terms(struct follow *follow, const struct incident_terms *terms)
{
    if (!terms || terms->verify_within_us == 0)
        return;
    follow->verifies = true;
    follow->reach_m = terms->verify_radius_m > follow->reach_m ? terms->verify_radius_m : follow->reach_m;
}

void follow_batch(struct follow *follow, const struct batch *batch, const uint8_t *stored,
                  const struct incident_rows *rows)
{
    const struct book *book = &rows->book;
    for (size_t i = 0; i < rows->n_changes; i++)
        follow_hint(follow, rows->changes[i].id, rows->changes[i].op);
    if (book->n_incidents == 0)
        return;
    uint32_t *last = mem_zalloc(book->n_incidents * sizeof(*last));
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (!stored[i] || alert->incident == NO_INCIDENT || alert->phase != PHASE_RAISE)
            continue;
        const struct incident *incident = &book->incidents[alert->incident];
        note_terms(follow, alert->terms);
        if (follow->verifies && incident->raised && incident->terms.category == CATEGORY_ALARM && !incident->drill)
            add_raise(follow, alert, incident->id, &last[alert->incident]);
    }
    free(last);
}

static int compare_raises(const void *a, const void *b)
{
    const struct follow_raise *x = a, *y = b;
    if (x->incident != y->incident)
        return x->incident < y->incident ? -1 : 1;
    return memcmp(x->device, y->device, sizeof(x->device));
}

/* Makes one of several batches' raises of a device in an incident. */
static void merge_raises(struct follow *follow)
{
    size_t kept = 0;
    qsort(follow->raises, follow->n_raises, sizeof(*follow->raises), compare_raises);
    for (size_t i = 0; i < follow->n_raises; i++) {
        struct follow_raise *raise = &follow->raises[i];
        if (kept > 0 && compare_raises(&follow->raises[kept - 1], raise) == 0)
            widen(&follow->raises[kept - 1], raise->from_us, raise->until_us);
        else
            follow->raises[kept++] = *raise;
    }
    follow->n_raises = kept;
}

void follow_encode_raises(struct follow *follow, struct buf values[FOLLOW_VERIFY_PARAMS])
{
    uint32_t bits;
    float reach_m = (float)follow->reach_m;
    merge_raises(follow);
    size_t n = follow->n_raises < FOLLOW_RAISES_ONCE ? follow->n_raises : FOLLOW_RAISES_ONCE;
    follow->n_raises -= n; /* the newest incidents */
    follow->n_sent = n;
    memcpy(follow->sent, follow->raises + follow->n_raises, n * sizeof(*follow->sent));
    copyrow_array(&values[0], TYPE_INT8, n);
    copyrow_array(&values[1], TYPE_TEXT, n);
    copyrow_array(&values[2], TYPE_TIMESTAMPTZ, n);
    copyrow_array(&values[3], TYPE_TIMESTAMPTZ, n);
    for (size_t i = 0; i < n; i++) {
        const struct follow_raise *raise = &follow->sent[i];
        param_int8(&values[0], (int64_t)raise->incident);
        param_text(&values[1], (struct str){raise->device, raise->device_len});
        param_time(&values[2], raise->from_us);
        param_time(&values[3], raise->until_us);
    }
    memcpy(&bits, &reach_m, sizeof(bits));
    buf_be32(&values[4], bits);
}

void follow_encode_hints(struct follow *follow, struct buf values[FOLLOW_ANNOUNCE_PARAMS])
{
    size_t n = follow->n_hints < HINTS_ONCE ? follow->n_hints : HINTS_ONCE;
    follow->encoded_hints = n;
    copyrow_array(&values[0], TYPE_INT8, n);
    copyrow_array(&values[1], TYPE_TEXT, n);
    for (size_t i = 0; i < n; i++) {
        param_int8(&values[0], (int64_t)follow->hints[i].id);
        param_text(&values[1], str_from(incident_op_word(follow->hints[i].op)));
    }
}

void follow_verified(struct follow *follow)
{
    follow->n_sent = 0;
}

void follow_unverified(struct follow *follow)
{
    for (size_t i = 0; i < follow->n_sent; i++)
        keep_raise(follow, &follow->sent[i]);
    follow->n_sent = 0;
}

void follow_announced(struct follow *follow)
{
    follow->n_hints -= follow->encoded_hints;
    memmove(follow->hints, follow->hints + follow->encoded_hints, follow->n_hints * sizeof(*follow->hints));
    follow->encoded_hints = 0;
}
