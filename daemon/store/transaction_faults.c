/* Failures of a transaction, and how the batch is nevertheless stored. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/copyrow.h"
#include "store/transaction_parts.h"

/* If another daemon creates the same incidents at the same time, the transaction begins again: once is usually enough,
 * since the other transaction is over by then. If not, an incident was deleted by hand. */
#define RESTARTS_MAX 5

#define UNIQUE_VIOLATION "23505"
#define CHECK_VIOLATION  "23514"

void transaction_roll_back(struct transaction *t, enum transaction_state after, const char *reason)
{
    t->after = after;
    transaction_set_state(t, TRANSACTION_ROLLING_BACK, reason);
    t->calls.send(t->ctx, "rollback");
}

static void retry_later(struct transaction *t)
{
    transaction_roll_back(t, TRANSACTION_RETRY_LATER, t->fault.text);
}

static void restart_transaction(struct transaction *t, enum transaction_state from, const char *reason)
{
    t->restarts++;
    t->restarts_total++;
    transaction_roll_back(t, from, reason);
}

void transaction_on_abandoned(struct transaction *t)
{
    if (t->after == TRANSACTION_POSITION_MOVED) {
        transaction_roll_back(t, TRANSACTION_POSITION_MOVED, "the guard affected no row");
    } else if (t->restarts < RESTARTS_MAX) {
        restart_transaction(t, TRANSACTION_OPENING, "another daemon created an incident at this moment");
    } else {
        t->fault = (struct fault){
            .class = SQLSTATE_STOP,
            .sqlstate = "02000",
            .text = "mobeye.incident_condition refers to an incident that does not exist (maintenance deletes such "
                    "conditions)",
        };
        retry_later(t);
    }
}

struct partition_day {
    const char *class; /* of mobeye.make_partitions() */
    int64_t day;       /* since 1970 */
};

static int compare_days(const void *a, const void *b)
{
    const struct partition_day *x = a, *y = b;
    int by_class = strcmp(x->class, y->class);
    return by_class ? by_class : x->day < y->day ? -1 : x->day > y->day;
}

/* The days that the batch's alerts and images fall on, as calls of mobeye.make_partitions(), which takes no time before
 * 1970. */
static void append_partitions(const struct encoded_batch *encoded, struct buf *sql)
{
    const struct batch *batch = encoded->batch;
    struct partition_day *days = mem_realloc(NULL, 2 * batch->n, sizeof(*days));
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (encoded->status[i] != ROW_STORE || alert->occurred_us < 0)
            continue;
        days[n++] = (struct partition_day){alert_class_word(alert_class(alert->kind)), alert->occurred_us / CLOCK_DAY};
        if (alert->image.kind != IMAGE_NONE)
            days[n++] = (struct partition_day){"images", alert->occurred_us / CLOCK_DAY};
    }
    qsort(days, n, sizeof(*days), compare_days);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare_days(&days[i - 1], &days[i]) != 0)
            buf_printf(sql,
                       "select mobeye.make_partitions('%s', to_timestamp(%" PRId64 "), to_timestamp(%" PRId64 "));",
                       days[i].class, days[i].day * 86400, (days[i].day + 1) * 86400);
    free(days);
}

static void make_partitions(struct transaction *t)
{
    struct buf sql = {0};
    append_partitions(t->encoded, &sql);
    transaction_set_state(t, TRANSACTION_MAKING_PARTITIONS, "an alert has none");
    if (sql.len > 0)
        t->calls.send(t->ctx, sql.data);
    else
        transaction_on_partitions_made(t);
    buf_free(&sql);
}

void transaction_on_partitions_made(struct transaction *t)
{
    t->partitions_made = true;
    transaction_open(t, "partitions are created");
}

void transaction_end_with(struct transaction *t, enum transaction_state outcome)
{
    transaction_set_state(t, outcome, outcome == TRANSACTION_POSITION_MOVED ? "nothing is stored" : t->fault.text);
    transaction_report(t, outcome);
}

void transaction_on_rolled_back(struct transaction *t)
{
    if (t->after == TRANSACTION_OPENING)
        transaction_open(t, "again");
    else if (t->after == TRANSACTION_READING_PERIODS)
        transaction_read_periods(t, "a period of identities has ended");
    else if (t->after == TRANSACTION_MAKING_PARTITIONS)
        make_partitions(t);
    else
        transaction_end_with(t, t->after);
}

static size_t rows_between(const struct encoded_batch *encoded, size_t first, size_t stop)
{
    size_t count = 0;
    for (size_t i = first; i < stop; i++)
        count += encoded->status[i] == ROW_STORE;
    return count;
}

static void try_next_piece(struct transaction *t, const char *savepoint)
{
    struct buf sql = {0};
    if (!bisect_next_piece(&t->bisect)) {
        transaction_roll_back(t, TRANSACTION_OPENING, "all refused rows are known");
        return;
    }
    buf_printf(&sql, "%s; " COPYROW_ALERT_SQL, savepoint);
    encoded_batch_copy_begin(t->encoded, t->bisect.base, t->bisect.stop, NULL);
    t->calls.send(t->ctx, sql.data);
    buf_free(&sql);
}

void transaction_on_piece_stored(struct transaction *t)
{
    bisect_piece_stored(&t->bisect);
    try_next_piece(t, "release savepoint alerts; savepoint alerts");
}

/* The incidents and identities of this attempt are given up, since those of refused rows are among them. */
static void begin_bisecting(struct transaction *t)
{
    incident_rows_clear(&t->incidents);
    transaction_set_state(t, TRANSACTION_BISECTING, t->fault.sqlstate);
    try_next_piece(t, "rollback to savepoint identities; savepoint alerts");
}

/* A COPY of alerts was refused. The server usually names the line; otherwise the piece is halved. */
static void on_piece_refused(struct transaction *t)
{
    struct encoded_batch *encoded = t->encoded;
    bool first = t->state != TRANSACTION_BISECTING;
    if (first)
        bisect_begin_rows(&t->bisect);
    size_t tried = rows_between(encoded, t->bisect.base, t->bisect.stop);
    size_t line = tried == 1 ? 1 : t->fault.line;
    if (tried == 0) {
        retry_later(t); /* not because of a row */
        return;
    }
    if (line >= 1 && line <= tried) {
        size_t row = encoded_batch_nth_row(encoded, t->bisect.base, line);
        encoded_batch_refuse(encoded, row, &t->fault);
        bisect_piece_refused(&t->bisect, row);
    } else {
        bisect_halve_piece(&t->bisect);
    }
    if (first)
        begin_bisecting(t);
    else
        try_next_piece(t, "rollback to savepoint alerts");
}

/* The search for the row whose incident is refused goes on in a transaction of its own. */
static void search_incidents(struct transaction *t, enum bisect_verdict verdict)
{
    size_t row = t->bisect.good_prefix;
    if (verdict == BISECT_ROW_FOUND && t->encoded->status[row] == ROW_STORE) {
        encoded_batch_refuse(t->encoded, row, &t->incident_fault);
        bisect_leave_out_row(&t->bisect);
    } else if (verdict != BISECT_TRY_PREFIX) {
        retry_later(t); /* not because of a row */
        return;
    }
    transaction_roll_back(t, TRANSACTION_OPENING, "whose incident is refused");
}

void transaction_on_prefix_stored(struct transaction *t)
{
    search_incidents(t, bisect_prefix_stored(&t->bisect));
}

static void on_incidents_refused(struct transaction *t)
{
    if (t->bisect.phase == BISECT_OFF) {
        bisect_begin_rows(&t->bisect);
        begin_bisecting(t);
    } else {
        t->incident_fault = t->fault;
        search_incidents(t, bisect_prefix_refused(&t->bisect));
    }
}

/* The server names the line; else no image is to blame. */
static void on_image_refused(struct transaction *t)
{
    size_t row = t->fault.line > 0 ? image_rows_nth_row(t->encoded, t->fault.line) : t->encoded->batch->n;
    if (row == t->encoded->batch->n) {
        retry_later(t);
        return;
    }
    encoded_batch_refuse(t->encoded, row, &t->fault);
    bisect_row_known(&t->bisect);
    transaction_roll_back(t, TRANSACTION_OPENING, "an image is refused");
}

/* A row, or its description in quarantine, is refused permanently. In any other state no row is to blame. */
static void on_refused(struct transaction *t)
{
    bool taken = strcmp(t->fault.sqlstate, UNIQUE_VIOLATION) == 0;
    bool of_rows =
        t->state == TRANSACTION_SENDING || t->state == TRANSACTION_AWAITING || t->state == TRANSACTION_BISECTING;
    bool of_incidents = (t->state == TRANSACTION_STORING || t->state == TRANSACTION_PROBING) && !taken;
    bool of_images = t->state == TRANSACTION_SENDING_IMAGES;
    if ((of_rows || of_incidents || of_images) && !t->journal) {
        transaction_roll_back(t, TRANSACTION_REFUSED, t->fault.text);
    } else if (of_images) {
        on_image_refused(t);
    } else if (of_rows) {
        on_piece_refused(t);
    } else if (of_incidents) {
        on_incidents_refused(t);
    } else if (t->state == TRANSACTION_QUARANTINING && !t->record_only) {
        t->record_only = true;
        transaction_roll_back(t, TRANSACTION_OPENING, "quarantine refuses the description");
    } else {
        retry_later(t);
    }
}

static void on_open_fault(struct transaction *t)
{
    const struct fault *fault = &t->fault;
    bool in_rows = t->state == TRANSACTION_SENDING || t->state == TRANSACTION_AWAITING ||
                   t->state == TRANSACTION_SENDING_IMAGES || t->state == TRANSACTION_BISECTING;
    bool in_incidents = t->state == TRANSACTION_STORING || t->state == TRANSACTION_PROBING;
    bool taken = strcmp(fault->sqlstate, UNIQUE_VIOLATION) == 0;
    bool in_identities = t->state == TRANSACTION_COPYING_IDENTITIES || t->state == TRANSACTION_CLAIMING ||
                         t->state == TRANSACTION_COMPARING;
    if (in_identities && strcmp(fault->sqlstate, CHECK_VIOLATION) == 0 && t->restarts < RESTARTS_MAX) {
        restart_transaction(t, TRANSACTION_READING_PERIODS, "the period of identities is closed");
    } else if (t->state == TRANSACTION_COPYING_IDENTITIES && taken) {
        t->expect_duplicates = true;
        transaction_set_state(t, TRANSACTION_UNDOING, "some are duplicates");
        t->calls.send(t->ctx, "rollback to savepoint identities");
    } else if (in_incidents && taken && t->restarts < RESTARTS_MAX) {
        restart_transaction(t, TRANSACTION_OPENING, "another daemon created an incident of the same key or condition");
    } else if (fault->class == SQLSTATE_PARTITION && in_rows && !t->partitions_made) {
        transaction_roll_back(t, TRANSACTION_MAKING_PARTITIONS, "a partition is missing");
    } else if (fault->class == SQLSTATE_REFUSED || fault->class == SQLSTATE_PARTITION) {
        on_refused(t);
    } else {
        retry_later(t);
    }
}

/* No transaction is open. */
static bool is_preparing(const struct transaction *t)
{
    return t->state == TRANSACTION_READING_PERIODS || t->state == TRANSACTION_READING_FILTER ||
           t->state == TRANSACTION_ADDING_ORIGINS || t->state == TRANSACTION_SEARCHING;
}

void transaction_on_fault(struct transaction *t, const struct fault *fault)
{
    t->fault = *fault;
    /* After the COMMIT the server may still fail to read notifications: the position shows what is stored. */
    bool committed = t->state == TRANSACTION_COMMITTED;
    if (committed || fault->class == SQLSTATE_RECONNECT || t->state == TRANSACTION_ROLLING_BACK)
        t->calls.drop(t->ctx, fault->text);
    else if (t->state == TRANSACTION_ABANDONING)
        transaction_on_abandoned(t);
    else if (is_preparing(t))
        transaction_end_with(t, TRANSACTION_RETRY_LATER);
    else if (t->state != TRANSACTION_MAKING_PARTITIONS)
        on_open_fault(t);
    else if (fault->class == SQLSTATE_REFUSED)
        transaction_on_partitions_made(t);
    else
        transaction_end_with(t, TRANSACTION_RETRY_LATER);
}
