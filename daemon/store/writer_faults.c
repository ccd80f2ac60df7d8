/* What can refuse a batch, and how it is stored all the same. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/copyrow.h"
#include "store/writer_parts.h"

#define RETRY_LEAST_US (100 * CLOCK_MS)
#define STOP_LEAST_US  CLOCK_SECOND
#define PAUSE_MOST_US  (30 * CLOCK_SECOND)

/* Where another daemon makes the same incidents at the same time, the transaction begins anew: once is enough as a
 * rule, since the other one is over then. */
#define AGAINS_MAX 5

/* So many rows that would be stored are stored before others are tried again with them. */
#define PIECE_KEEP 32

/* A step reaches over so many times the distance to the last refused row. Measured with every tenth row refused, in
 * batches of 5,000: 20,000 rows/s; 15,000 with a factor of 1 or with 128 rows kept (86,000 where none is refused). */
#define STEP_FACTOR 3

void writer_forget_refused(struct writer *w)
{
    w->isolated = false;
    w->sift.good = w->sift.tried = w->sift.bad = 0;
}

void writer_rollback(struct writer *w, enum writer_after after, const char *reason)
{
    w->after = after;
    writer_set_state(w, WRITER_ROLLBACK, reason);
    writer_query(w, "rollback");
}

/* The batch is tried again after a while, for ever. */
static void retry_later(struct writer *w)
{
    const struct fault *fault = &w->fault;
    bool stop = fault->class != SQLSTATE_RETRY;
    writer_forget_refused(w);
    w->agains = 0;
    w->pause_us = pgconn_backoff_us(stop ? STOP_LEAST_US : RETRY_LEAST_US, PAUSE_MOST_US, w->retries++);
    log_limited(&w->batch_complaint, loop_mono_us(w->loop), stop ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, WRITER_SUBJECT,
                "%s: %s (SQLSTATE %s); alerts stay in the journal", stop ? "alerts cannot be stored" : "trying again",
                fault->text, fault->sqlstate);
    if (w->state == WRITER_PARTITIONS) {
        w->after = AFTER_ROLLBACK_PAUSE;
        writer_rolled_back(w);
    } else {
        writer_rollback(w, AFTER_ROLLBACK_PAUSE, fault->text);
    }
}

/* Once is enough as a rule; more often, and somebody has deleted the incident by hand. */
void writer_torn(struct writer *w)
{
    if (w->agains < AGAINS_MAX) {
        writer_again(w, "another daemon made an incident at this moment");
        return;
    }
    w->fault = (struct fault){
        .class = SQLSTATE_STOP,
        .sqlstate = "02000",
        .text = "mobeye.incident_thread leads to an incident that is not there (maintenance deletes such threads)",
    };
    retry_later(w);
}

struct day {
    enum retention_class class;
    int64_t day; /* since 1970 */
};

static int compare_days(const void *a, const void *b)
{
    const struct day *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return x->day < y->day ? -1 : x->day > y->day;
}

/* The days that the batch's alerts fall on, as calls of mobeye.make_partitions(). It takes no time before 1970. */
static void append_partitions(const struct encoded_batch *encoded, struct buf *sql)
{
    const struct batch *batch = encoded->batch;
    struct day *days = mem_realloc(NULL, batch->n, sizeof(*days));
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++)
        if (encoded->status[i] == ROW_STORE && batch->rows[i].alert.occurred_us >= 0)
            days[n++] =
                (struct day){alert_class(batch->rows[i].alert.kind), batch->rows[i].alert.occurred_us / CLOCK_DAY};
    qsort(days, n, sizeof(*days), compare_days);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare_days(&days[i - 1], &days[i]) != 0)
            buf_printf(sql,
                       "select mobeye.make_partitions('%s', to_timestamp(%" PRId64 "), to_timestamp(%" PRId64 "));",
                       alert_class_word(days[i].class), days[i].day * 86400, (days[i].day + 1) * 86400);
    free(days);
}

static void make_partitions(struct writer *w)
{
    struct buf sql = {0};
    append_partitions(writer_batch(w), &sql);
    writer_set_state(w, WRITER_PARTITIONS, "an alert has none");
    if (sql.len > 0)
        writer_query(w, sql.data);
    else
        writer_partitions_over(w);
    buf_free(&sql);
}

/* Once a batch: a row that still has no partition is refused. */
void writer_partitions_over(struct writer *w)
{
    w->partitions_made = true;
    writer_begin(w);
}

void writer_rolled_back(struct writer *w)
{
    switch (w->after) {
    case AFTER_ROLLBACK_AGAIN:
        writer_begin(w);
        break;
    case AFTER_ROLLBACK_PAUSE:
        writer_set_state(w, WRITER_PAUSED, w->fault.text);
        loop_arm(&w->timer, w->pause_us);
        break;
    case AFTER_ROLLBACK_PARTITIONS:
        make_partitions(w);
        break;
    case AFTER_ROLLBACK_POSITION:
        writer_forget_refused(w);
        writer_read_position(w);
        break;
    }
}

static size_t rows_between(const struct encoded_batch *encoded, size_t first, size_t stop)
{
    size_t count = 0;
    for (size_t i = first; i < stop; i++)
        count += encoded->status[i] == ROW_STORE;
    return count;
}

/*
 * Tries the next piece, from base on: the rows that would be stored, and where they are few, a step more. Every refused
 * row costs a failed COPY, so the step is kept near the distance between refused rows.
 */
static void try_piece(struct writer *w, const char *savepoint)
{
    size_t n = writer_batch(w)->batch->n, good = w->piece.good - w->piece.base;
    if (w->piece.base == n) {
        w->isolated = true;
        writer_rollback(w, AFTER_ROLLBACK_AGAIN, "all refused rows are known");
        return;
    }
    w->piece.stop = w->piece.good;
    if (good < PIECE_KEEP)
        w->piece.stop += w->piece.step < n - w->piece.good ? w->piece.step : n - w->piece.good;
    struct buf sql = {0};
    buf_printf(&sql, "%s; " COPYROW_ALERT_SQL, savepoint);
    encoded_batch_copy_begin(writer_batch(w), w->piece.base, w->piece.stop, NULL);
    writer_query(w, sql.data);
    buf_free(&sql);
}

void writer_piece_stored(struct writer *w)
{
    size_t n = writer_batch(w)->batch->n;
    w->piece.base = w->piece.good = w->piece.stop;
    w->piece.step = 2 * w->piece.step < n ? 2 * w->piece.step : n;
    try_piece(w, "release savepoint alerts; savepoint alerts");
}

/* The incidents and identities of this try are given up, as those of refused rows are among them. */
static void begin_piece(struct writer *w)
{
    bool first = w->state != WRITER_ISOLATING;
    w->commit_sent = false;
    incident_rows_clear(&w->incidents);
    if (first)
        writer_set_state(w, WRITER_ISOLATING, w->fault.sqlstate);
    try_piece(w, first ? "rollback to savepoint identities; savepoint alerts" : "rollback to savepoint alerts");
}

/* A COPY of rows base to stop was refused. The server says by which line, as a rule; else the piece is halved. */
static void isolate(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    size_t tried = rows_between(encoded, w->piece.base, w->piece.stop);
    size_t line = tried == 1 ? 1 : w->fault.line;
    if (tried == 0) {
        retry_later(w); /* not by a row */
        return;
    }
    if (line >= 1 && line <= tried) {
        size_t row = encoded_batch_nth_row(encoded, w->piece.base, line);
        encoded_batch_refuse(encoded, row, &w->fault);
        w->piece.step = STEP_FACTOR * (row - w->piece.base + 1);
        w->piece.good = row;
    } else {
        w->piece.step = (w->piece.stop - w->piece.base) / 2;
        w->piece.good = w->piece.base;
    }
    begin_piece(w);
}

/* The next number of rows whose incidents are tried: half way between what is stored and what is not. */
static void sift(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    size_t row = w->sift.good;
    if (row + 1 < w->sift.bad) {
        w->sift.tried = row + (w->sift.bad - row) / 2;
    } else if (row < w->sift.bad && encoded->status[row] == ROW_STORE) {
        encoded_batch_refuse(encoded, row, &w->sift.fault);
        w->sift.good++;
        w->sift.tried = 0;
    } else {
        retry_later(w); /* not by a row */
        return;
    }
    writer_rollback(w, AFTER_ROLLBACK_AGAIN, "whose incident is refused");
}

void writer_sift_stored(struct writer *w)
{
    w->sift.good = w->sift.tried;
    sift(w);
}

static void sift_refused(struct writer *w)
{
    w->sift.bad = w->sift.tried > 0 ? w->sift.tried : writer_batch(w)->batch->n;
    w->sift.fault = w->fault;
    sift(w);
}

/* A row, or what describes it in quarantine, is refused for good. Anywhere else that is no row's fault. */
static void refused(struct writer *w)
{
    if (w->state == WRITER_ALERTS || w->state == WRITER_ISOLATING) {
        isolate(w);
    } else if (w->state == WRITER_STORING && !w->isolated && strcmp(w->fault.sqlstate, "23505") != 0) {
        w->piece.base = w->piece.good = 0;
        w->piece.step = writer_batch(w)->batch->n;
        begin_piece(w);
    } else if (w->state == WRITER_STORING && strcmp(w->fault.sqlstate, "23505") != 0) {
        sift_refused(w);
    } else if (w->state == WRITER_ENDING && !w->commit_sent && !w->bare) {
        w->bare = true;
        writer_rollback(w, AFTER_ROLLBACK_AGAIN, "quarantine refuses the description");
    } else {
        retry_later(w);
    }
}

static void transaction_fault(struct writer *w)
{
    const struct fault *fault = &w->fault;
    bool in_rows = w->state == WRITER_ALERTS || w->state == WRITER_ISOLATING;
    bool taken = strcmp(fault->sqlstate, "23505") == 0;
    if (w->state == WRITER_IDENTITIES && taken) {
        w->expect_duplicates = true;
        writer_claim(w);
    } else if (w->state == WRITER_STORING && taken && w->agains < AGAINS_MAX) {
        writer_again(w, "another daemon has made an incident of the same key or thread");
    } else if (fault->class == SQLSTATE_PARTITION && in_rows && !w->partitions_made) {
        writer_rollback(w, AFTER_ROLLBACK_PARTITIONS, "a partition is missing");
    } else if (fault->class == SQLSTATE_REFUSED || fault->class == SQLSTATE_PARTITION) {
        refused(w);
    } else {
        retry_later(w);
    }
}

static void upkeep_fault(struct writer *w)
{
    log_limited(&w->upkeep_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                "partitions cannot be premade: %s (SQLSTATE %s)", w->fault.text, w->fault.sqlstate);
    writer_upkeep_over(w);
}

static bool no_schema(const struct fault *fault)
{
    return strcmp(fault->sqlstate, "42P01") == 0 || strcmp(fault->sqlstate, "3F000") == 0;
}

void writer_fault(struct writer *w)
{
    if (w->fault.class == SQLSTATE_RECONNECT) {
        pgconn_drop(w->conn, w->fault.text);
        return;
    }
    switch (w->state) {
    case WRITER_PREPARING:
    case WRITER_POSITION:
        writer_wait(w, w->fault.text);
        break;
    case WRITER_CHECKING:
        if (no_schema(&w->fault))
            writer_checked(w);
        else
            writer_wait(w, w->fault.text);
        break;
    case WRITER_UPKEEP:
        upkeep_fault(w);
        break;
    case WRITER_ROLLBACK:
        pgconn_drop(w->conn, w->fault.text);
        break;
    case WRITER_PARTITIONS:
        if (w->fault.class == SQLSTATE_REFUSED)
            writer_partitions_over(w);
        else
            retry_later(w);
        break;
    default:
        transaction_fault(w);
    }
}
