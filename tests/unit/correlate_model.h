/*
 * The database as far as the correlation needs it, in memory: what read_incidents() returns for a batch, and what
 * store_incidents() does with an incident set. For the tests of the correlation.
 */
#ifndef FOLD_MODEL_H
#define FOLD_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "enrich/correlate.h"
#include "enrich/incident_key.h"

/* Incident `id` is incidents[id - 1]. */
struct model {
    struct incident_set db;
    int locked_by[4096]; /* of incident id - 1: the transaction that has its row, 0 none */
};

struct transaction {
    int number; /* 1, 2, ... */
    struct incident_set set;
};

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, INCIDENT_KEY_BYTES) == 0;
}

static bool asks_for_thread(const struct alert *alert, const struct condition *condition)
{
    uint8_t general[INCIDENT_KEY_BYTES];
    incident_key_general_condition(alert, general);
    bool restore = alert->phase == PHASE_RESTORE;
    if (same(condition->id, alert->condition) || (restore && same(condition->id, general)))
        return true;
    bool family =
        (alert->flags & FLAG_CANCEL) || (restore && alert->input == ALERT_NO_INT && alert->camera.track.len == 0);
    return family && memcmp(condition->id, general, 8) == 0;
}

/* The times of occurrence of a key's alerts are taken together, as the database is asked for them. */
static bool asks_for_incident(const struct batch *batch, const struct incident *incident)
{
    int64_t from = INT64_MAX, until = INT64_MIN, gap_us = incident->terms.gap_us;
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (!alert->terms || !same(alert->key, incident->key))
            continue;
        from = alert->occurred_us < from ? alert->occurred_us : from;
        until = alert->occurred_us > until ? alert->occurred_us : until;
    }
    if (from > until)
        return false;
    return incident->accepting ||
           (incident->first_seen_us - gap_us <= until && from <= incident->last_seen_us + gap_us);
}

/* Puts incident i into the incident set, if it is not there, and returns where. */
static size_t model_take(struct model *model, struct incident_set *set, size_t i)
{
    for (size_t k = 0; k < set->n_incidents; k++)
        if (set->incidents[k].id == i + 1)
            return k;
    size_t k = incident_set_add(set);
    set->incidents[k] = model->db.incidents[i];
    return k;
}

/* Locks the rows and fills the incident set. false: another transaction has one of them: wait for it. */
static bool model_read(struct model *model, struct transaction *t, const struct batch *batch)
{
    struct incident_set *db = &model->db;
    incident_set_clear(&t->set);
    for (size_t i = 0; i < db->n_conditions; i++)
        for (size_t k = 0; k < batch->n; k++)
            if (asks_for_thread(&batch->rows[k].alert, &db->conditions[i])) {
                size_t incident = model_take(model, &t->set, db->conditions[i].incident);
                size_t condition = incident_set_add_condition(&t->set);
                t->set.conditions[condition] = db->conditions[i];
                t->set.conditions[condition].incident = incident;
                break;
            }
    for (size_t i = 0; i < db->n_incidents; i++)
        if (asks_for_incident(batch, &db->incidents[i]))
            model_take(model, &t->set, i);
    for (size_t k = 0; k < t->set.n_incidents; k++) {
        int *lock = &model->locked_by[t->set.incidents[k].id - 1];
        if (*lock && *lock != t->number)
            return false;
    }
    for (size_t k = 0; k < t->set.n_incidents; k++)
        model->locked_by[t->set.incidents[k].id - 1] = t->number;
    return true;
}

static void model_end(struct model *model, const struct transaction *t)
{
    for (size_t i = 0; i < model->db.n_incidents; i++)
        if (model->locked_by[i] == t->number)
            model->locked_by[i] = 0;
}

static void model_put(struct model *model, struct incident *incident)
{
    if (incident->fresh) {
        incident_set_add(&model->db);
        incident->id = model->db.n_incidents;
    }
    struct incident *row = &model->db.incidents[incident->id - 1];
    *row = *incident;
    row->inactive_us = row->unmuted_us = ALERT_NO_TIME;
    row->fresh = row->changed = row->joined = row->raised = row->restored = false;
}

/* Whether an incident other than those of the incident set accepts alerts of its key. */
static bool model_collides(const struct model *model, const struct incident_set *set, const struct incident *made)
{
    for (size_t i = 0; i < model->db.n_incidents; i++) {
        bool accepting = model->db.incidents[i].accepting;
        for (size_t k = 0; k < set->n_incidents; k++)
            if (set->incidents[k].id == i + 1)
                accepting = set->incidents[k].accepting;
        if (accepting && same(model->db.incidents[i].key, made->key))
            return true;
    }
    return false;
}

static size_t model_find_thread(const struct model *model, const struct condition *condition)
{
    size_t at = 0;
    while (at < model->db.n_conditions && !same(model->db.conditions[at].id, condition->id))
        at++;
    return at;
}

static void model_put_thread(struct model *model, const struct incident_set *set, const struct condition *condition)
{
    size_t at = model_find_thread(model, condition);
    if (at == model->db.n_conditions)
        incident_set_add_condition(&model->db);
    struct condition *row = &model->db.conditions[at];
    *row = *condition;
    row->incident = set->incidents[condition->incident].id - 1;
    row->fresh = row->changed = false;
}

/* Updates first, then inserts, then conditions, and commits. false: somebody else has meanwhile created an incident of
 * the key, or the condition; nothing is stored: start over. */
static bool model_store(struct model *model, struct transaction *t)
{
    struct incident_set *set = &t->set;
    for (size_t i = 0; i < set->n_incidents; i++) {
        const struct incident *made = &set->incidents[i];
        if (made->fresh && made->accepting && model_collides(model, set, made)) {
            model_end(model, t);
            return false;
        }
    }
    for (size_t i = 0; i < set->n_conditions; i++)
        if (set->conditions[i].fresh && model_find_thread(model, &set->conditions[i]) < model->db.n_conditions) {
            model_end(model, t);
            return false;
        }
    for (int fresh = 0; fresh < 2; fresh++)
        for (size_t i = 0; i < set->n_incidents; i++)
            if (set->incidents[i].changed && set->incidents[i].fresh == fresh)
                model_put(model, &set->incidents[i]);
    for (size_t i = 0; i < set->n_conditions; i++)
        if (set->conditions[i].changed || set->conditions[i].fresh)
            model_put_thread(model, set, &set->conditions[i]);
    model_end(model, t);
    return true;
}

static void model_free(struct model *model)
{
    incident_set_free(&model->db);
}

#endif
