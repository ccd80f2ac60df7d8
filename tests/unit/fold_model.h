/*
 * The database as far as the fold needs it, in memory: what read_incidents() gives of it for a batch, and what
 * store_incidents() makes of a book. For the tests of the fold.
 */
#ifndef FOLD_MODEL_H
#define FOLD_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "enrich/fold.h"
#include "enrich/group.h"

/* Incident `id` is incidents[id - 1]. */
struct model {
    struct book db;
    int locked_by[4096]; /* of incident id - 1: the transaction that has its row, 0 none */
};

struct transaction {
    int number; /* 1, 2, ... */
    struct book book;
};

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, INCIDENT_KEY_BYTES) == 0;
}

static bool asks_for_thread(const struct alert *alert, const struct thread *thread)
{
    uint8_t general[INCIDENT_KEY_BYTES];
    group_general_thread(alert, general);
    bool restore = alert->phase == PHASE_RESTORE;
    if (same(thread->id, alert->thread) || (restore && same(thread->id, general)))
        return true;
    bool family = (alert->flags & FLAG_CANCEL) || (restore && alert->input == ALERT_NO_INT && alert->track.len == 0);
    return family && memcmp(thread->id, general, 8) == 0;
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

/* Puts incident i into the book, if it is not there, and returns where. */
static size_t model_take(struct model *model, struct book *book, size_t i)
{
    for (size_t k = 0; k < book->n_incidents; k++)
        if (book->incidents[k].id == i + 1)
            return k;
    size_t k = book_add_incident(book);
    book->incidents[k] = model->db.incidents[i];
    return k;
}

/* Locks the rows and fills the book. false: another transaction has one of them, wait for it. */
static bool model_read(struct model *model, struct transaction *t, const struct batch *batch)
{
    struct book *db = &model->db;
    book_clear(&t->book);
    for (size_t i = 0; i < db->n_threads; i++)
        for (size_t k = 0; k < batch->n; k++)
            if (asks_for_thread(&batch->rows[k].alert, &db->threads[i])) {
                size_t incident = model_take(model, &t->book, db->threads[i].incident);
                size_t thread = book_add_thread(&t->book);
                t->book.threads[thread] = db->threads[i];
                t->book.threads[thread].incident = incident;
                break;
            }
    for (size_t i = 0; i < db->n_incidents; i++)
        if (asks_for_incident(batch, &db->incidents[i]))
            model_take(model, &t->book, i);
    for (size_t k = 0; k < t->book.n_incidents; k++) {
        int *lock = &model->locked_by[t->book.incidents[k].id - 1];
        if (*lock && *lock != t->number)
            return false;
    }
    for (size_t k = 0; k < t->book.n_incidents; k++)
        model->locked_by[t->book.incidents[k].id - 1] = t->number;
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
        book_add_incident(&model->db);
        incident->id = model->db.n_incidents;
    }
    struct incident *row = &model->db.incidents[incident->id - 1];
    *row = *incident;
    row->fresh = row->changed = row->joined = row->raised = row->restored = false;
}

/* Does another than those of the book, as they are now, accept for its key? */
static bool model_collides(const struct model *model, const struct book *book, const struct incident *made)
{
    for (size_t i = 0; i < model->db.n_incidents; i++) {
        bool accepting = model->db.incidents[i].accepting;
        for (size_t k = 0; k < book->n_incidents; k++)
            if (book->incidents[k].id == i + 1)
                accepting = book->incidents[k].accepting;
        if (accepting && same(model->db.incidents[i].key, made->key))
            return true;
    }
    return false;
}

static void model_put_thread(struct model *model, const struct book *book, const struct thread *thread)
{
    size_t at = 0;
    while (at < model->db.n_threads && !same(model->db.threads[at].id, thread->id))
        at++;
    if (at == model->db.n_threads)
        book_add_thread(&model->db);
    struct thread *row = &model->db.threads[at];
    *row = *thread;
    row->incident = book->incidents[thread->incident].id - 1;
    row->fresh = row->changed = false;
}

/* Updates first, then inserts, then threads, and commits. false: an incident of the key was made by somebody else in
 * between; nothing of this is stored, begin anew. */
static bool model_store(struct model *model, struct transaction *t)
{
    struct book *book = &t->book;
    for (size_t i = 0; i < book->n_incidents; i++) {
        const struct incident *made = &book->incidents[i];
        if (made->fresh && made->accepting && model_collides(model, book, made)) {
            model_end(model, t);
            return false;
        }
    }
    for (int fresh = 0; fresh < 2; fresh++)
        for (size_t i = 0; i < book->n_incidents; i++)
            if (book->incidents[i].changed && book->incidents[i].fresh == fresh)
                model_put(model, &book->incidents[i]);
    for (size_t i = 0; i < book->n_threads; i++)
        if (book->threads[i].changed || book->threads[i].fresh)
            model_put_thread(model, book, &book->threads[i]);
    model_end(model, t);
    return true;
}

static void model_free(struct model *model)
{
    book_free(&model->db);
}

#endif
