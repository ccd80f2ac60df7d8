/*
 * A server for the transaction that stores a batch: it keeps track of what it was sent, fails at any statement, and
 * sends invalid replies.
 */
#ifndef MOBEYE_TESTS_PLAYED_SERVER_H
#define MOBEYE_TESTS_PLAYED_SERVER_H

#include "store/batch_identities.h"
#include "store/copyrow.h"
#include "store/transaction_parts.h"
#include "writer_steps.h"

enum { ROWS = 6, UNREADABLE = 1, WITH_IMAGE = 3, FAULTS_MAX = 2, TURNS_MAX = 500 };

/* A statement that fails. */
struct planned_fault {
    unsigned at; /* which statement, from 1; 0: none */
    struct fault fault;
};

static struct {
    struct transaction transaction;
    struct encoded_batch encoded;
    struct owner owner;
    struct batch *batch;
    char sql[8192];
    bool waits; /* for a reply to it */
    bool dropped;
    unsigned statements;
    struct planned_fault faults[FAULTS_MAX];
    uint64_t next_incident;
    /* What the test makes it reply. */
    const char *guard_tag, *commit_tag;
    bool period_closed;
    bool searches, found_before; /* in an earlier period: identities; that of the first */
    bool knows_identities, leads_nowhere, identities_taken, incidents_taken, description_refused;
    int lacks_incidents; /* this many ids too few; -1: no row at all */
    size_t bad_incident; /* the row, from 1, whose incident is refused */
    const char *failed;  /* the statement that failed first, by its beginning */
    /* In the transaction, and what of it is committed. */
    size_t alerts, images, quarantined, unsent, refusals;
    bool committed;
    size_t stored_alerts, stored_images, stored_quarantined;
    unsigned outcomes;
    enum transaction_state outcome;
} server;

static PGresult *result_of(ExecStatusType status, const char *tag)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, status);
    cr_assert_not_null(result);
    strcpy(PQcmdStatus(result), tag); /* where libpq keeps it */
    return result;
}

/* A row, or none for n = 0, of one binary column. */
static PGresult *result_of_value(int n, const void *value, int len)
{
    PGresult *result = result_of(PGRES_TUPLES_OK, "SELECT 1");
    PGresAttDesc column = {.name = (char *)"value", .format = 1, .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, 1, &column));
    for (int i = 0; i < n; i++)
        cr_assert(PQsetvalue(result, i, 0, (char *)value, len));
    return result;
}

static void give(PGresult *result)
{
    transaction_on_result(&server.transaction, result);
    PQclear(result);
}

static uint32_t number_at(const char *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof(number));
    return be32toh(number);
}

/* How many rows a COPY in binary format has; it must be whole. */
static size_t count_rows(struct str copy)
{
    size_t at = 19, rows = 0;
    uint16_t fields;
    for (;; rows++) {
        cr_assert_leq(at + 2, copy.len);
        memcpy(&fields, copy.p + at, sizeof(fields));
        at += sizeof(fields);
        if (fields == UINT16_MAX)
            break;
        for (size_t i = 0; i < be16toh(fields); i++) {
            int32_t len = (int32_t)number_at(copy.p + at);
            at += 4 + (len > 0 ? (size_t)len : 0);
        }
    }
    cr_assert_eq(at, copy.len, "nothing follows the trailer");
    return rows;
}

static size_t take_copy(void)
{
    struct buf copy = {0};
    struct str chunk;
    give(result_of(PGRES_COPY_IN, "COPY"));
    while (transaction_on_chunk(&server.transaction, &chunk))
        buf_append_str(&copy, chunk);
    size_t rows = count_rows(buf_str(&copy));
    if (strstr(server.sql, "; commit"))
        cr_assert(transaction_may_be_committed(&server.transaction), "a loss from here on leaves it open");
    buf_free(&copy);
    return rows;
}

static bool begins(const char *sql, const char *word)
{
    return strncmp(sql, word, strlen(word)) == 0;
}

/* An int8[] of the ids of new incidents; some may be missing. */
static PGresult *new_incidents(size_t n)
{
    struct buf ids = {0};
    char header[PGTYPE_ARRAY_HEADER_BYTES];
    buf_append(&ids, header, (size_t)(pgtype_put_array(header, TYPE_INT8, n) - header));
    for (size_t i = 0; i < n; i++) {
        uint64_t id = htobe64(++server.next_incident);
        buf_append(&ids, "\0\0\0\10", PGTYPE_LENGTH_BYTES);
        buf_append(&ids, &id, sizeof(id));
    }
    PGresult *result = result_of_value(1, ids.data, (int)ids.len);
    buf_free(&ids);
    return result;
}

/* An array of one value. */
static void set_array_of_one(PGresult *result, int column, uint32_t type, const char *value, size_t len)
{
    struct buf array = {0};
    char header[PGTYPE_ARRAY_HEADER_BYTES];
    buf_append(&array, header, (size_t)(pgtype_put_array(header, type, 1) - header));
    buf_be32(&array, (uint32_t)len);
    buf_append(&array, value, len);
    cr_assert(PQsetvalue(result, 0, column, array.data, (int)array.len));
    buf_free(&array);
}

/* mobeye.read_incidents() finds none; or, if it is to lead nowhere, a condition of an incident that is not among
 * them. */
static PGresult *known_incidents(void)
{
    PGresult *result = result_of(PGRES_TUPLES_OK, "SELECT 0");
    enum { INCIDENT_COLUMNS = 33, ALL_COLUMNS = 37 };
    PGresAttDesc columns[ALL_COLUMNS];
    for (int i = 0; i < ALL_COLUMNS; i++)
        columns[i] = (PGresAttDesc){.name = (char *)"c", .format = 1, .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, ALL_COLUMNS, columns));
    if (server.leads_nowhere) {
        for (int i = 0; i < INCIDENT_COLUMNS; i++)
            cr_assert(PQsetvalue(result, 0, i, NULL, -1));
        set_array_of_one(result, INCIDENT_COLUMNS, TYPE_INT8, "\0\0\0\0\0\0\0\7", 8);
        set_array_of_one(result, INCIDENT_COLUMNS + 1, TYPE_UUID, "sixteen bytes id", 16);
        set_array_of_one(result, INCIDENT_COLUMNS + 2, TYPE_BOOL, "\1", 1);
        set_array_of_one(result, INCIDENT_COLUMNS + 3, TYPE_TIMESTAMPTZ, "\0\0\0\0\0\0\0\7", 8);
    }
    return result;
}

/* Including rows that it was not asked to add, since they are refused. */
static PGresult *added_identities(void)
{
    PGresult *result = result_of_value(0, NULL, 0);
    for (size_t i = 0; !server.knows_identities && i < server.encoded.ids; i++) {
        uint64_t halves[] = {htobe64(server.encoded.id[i].high), htobe64(server.encoded.id[i].low)};
        cr_assert(PQsetvalue(result, (int)i, 0, (char *)halves, sizeof(halves)));
    }
    return result;
}

/* The current period, and before it one without a filter if earlier identities are to be searched for. */
static PGresult *known_periods(void)
{
    PGresult *result = result_of(PGRES_TUPLES_OK, "SELECT 1");
    PGresAttDesc columns[3] = {{.format = 1, .typlen = 4, .atttypmod = -1},
                               {.format = 1, .typlen = 1, .atttypmod = -1},
                               {.format = 1, .typlen = 1, .atttypmod = -1}};
    for (size_t i = 0; i < STEPS(columns); i++)
        columns[i].name = (char *)"column";
    cr_assert(PQsetResultAttrs(result, 3, columns));
    for (int i = 0, n = server.searches ? 2 : 1; i < n; i++) {
        bool closed = i < n - 1;
        cr_assert(PQsetvalue(result, i, 0, (char *)(closed ? "\0\0\0\1" : "\0\0\0\2"), 4));
        cr_assert(PQsetvalue(result, i, 1, (char *)(closed ? "\1" : "\0"), 1));
        cr_assert(PQsetvalue(result, i, 2, (char *)"\0", 1));
    }
    return result;
}

static void answer_statement(const char *sql)
{
    if (begins(sql, COPYROW_IDENTITY_SQL))
        server.unsent = take_copy(), give(result_of(PGRES_COMMAND_OK, "COPY"));
    else if (begins(sql, COPYROW_ALERT_SQL))
        server.alerts += take_copy(), give(result_of(PGRES_COMMAND_OK, "COPY"));
    else if (begins(sql, IMAGE_ROWS_SQL))
        server.images += take_copy(), give(result_of(PGRES_COMMAND_OK, "COPY"));
    else if (begins(sql, "update"))
        give(result_of(PGRES_COMMAND_OK, server.guard_tag));
    else if (begins(sql, "commit"))
        give(result_of(PGRES_COMMAND_OK, server.commit_tag));
    else if (begins(sql, incident_lookup_sql))
        give(known_incidents());
    else if (begins(sql, incident_store_sql) && server.lacks_incidents < 0)
        give(result_of_value(0, NULL, 0));
    else if (begins(sql, incident_store_sql))
        give(new_incidents(server.transaction.incidents.n_fresh - (size_t)server.lacks_incidents));
    else if (begins(sql, batch_claim_sql))
        give(added_identities());
    else if (begins(sql, identity_periods_sql))
        give(known_periods());
    else if (begins(sql, batch_search_sql))
        give(result_of_value(server.found_before ? 1 : 0, "\0\0\0\1", 4));
    else if (begins(sql, batch_conflict_sql))
        give(result_of_value(0, NULL, 0));
    else if (begins(sql, "insert into mobeye.quarantine"))
        give(result_of(PGRES_COMMAND_OK, "INSERT 0 1"));
    else
        give(result_of(PGRES_COMMAND_OK, "SELECT 1"));
}

/* What the statement does to the transaction, once its reply has been sent. */
static void note_statement(const char *sql)
{
    if (begins(sql, "begin") || begins(sql, "rollback"))
        server.alerts = server.images = server.quarantined = 0;
    else if (begins(sql, "insert into mobeye.quarantine"))
        server.quarantined += server.refusals;
    else if (begins(sql, "commit") && begins(server.commit_tag, "COMMIT")) {
        cr_assert(transaction_may_be_committed(&server.transaction), "a loss from here on leaves it open");
        cr_assert(!server.committed, "it commits once");
        server.committed = true;
        server.stored_alerts = server.alerts;
        server.stored_images = server.images;
        server.stored_quarantined = server.quarantined;
    }
}

static bool refuses_incidents(void)
{
    const struct bisect *bisect = &server.transaction.bisect;
    size_t row = server.bad_incident;
    return row > 0 && server.encoded.status[row - 1] == ROW_STORE &&
           (bisect->phase != BISECT_INCIDENTS || row <= bisect->prefix);
}

/* The fault of this statement, or NULL. */
static const struct fault *next_fault(const char *sql)
{
    static const struct fault taken = {SQLSTATE_REFUSED, "23505", "taken", 0},
                              refused = {SQLSTATE_REFUSED, "22003", "no", 0},
                              duplicate = {SQLSTATE_REFUSED, "23505", "known", 1},
                              closed = {SQLSTATE_REFUSED, "23514", "closed", 1};
    server.statements++;
    for (size_t i = 0; i < FAULTS_MAX; i++)
        if (server.faults[i].at == server.statements)
            return &server.faults[i].fault;
    if (begins(sql, incident_store_sql) && (server.incidents_taken || refuses_incidents()))
        return server.incidents_taken ? &taken : &refused;
    if (begins(sql, COPYROW_IDENTITY_SQL) && server.period_closed)
        return &closed;
    if (begins(sql, COPYROW_IDENTITY_SQL) && server.identities_taken)
        return &duplicate;
    if (begins(sql, "insert into mobeye.quarantine") && server.description_refused && !server.transaction.record_only)
        return &refused;
    return NULL;
}

static void note_failure(const char *sql)
{
    static const char *const words[] = {"copy mobeye.alert_identity", "copy mobeye.alert ", "copy mobeye.snapshot",
                                        "insert into mobeye.quarantine", "commit"};
    for (size_t i = 0; i < STEPS(words) && !server.failed; i++)
        if (begins(sql, words[i]))
            server.failed = words[i];
    if (!server.failed)
        server.failed = "";
}

/* Replies to what was sent last: a failure ends it. */
static void answer(void)
{
    static char sql[sizeof(server.sql)];
    strcpy(sql, server.sql);
    server.waits = false;
    for (char *statement = sql, *next; statement; statement = next) {
        next = strstr(statement, "; ");
        if (next) {
            *next = '\0';
            next += 2;
        }
        const struct fault *fault = next_fault(statement);
        if (fault) {
            note_failure(statement);
            /* In a COPY some faults come before its rows are sent, others when all are. */
            if (begins(statement, "copy") && fault->line > 0)
                take_copy();
            transaction_on_end(&server.transaction, fault);
            return;
        }
        note_statement(statement);
        answer_statement(statement);
        if (server.dropped)
            return;
    }
    transaction_on_end(&server.transaction, NULL);
}

static void on_send(void *ctx, const char *sql)
{
    (void)ctx;
    cr_assert(!server.waits, "one after the other");
    cr_assert_lt(strlen(sql), sizeof(server.sql));
    strcpy(server.sql, sql);
    server.waits = true;
}

static void on_send_params(void *ctx, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    (void)n, (void)types;
    on_send(ctx, sql);
    if (begins(sql, "insert into mobeye.quarantine")) /* the length of the array of their numbers */
        server.refusals = values[2].len > PGTYPE_ARRAY_EMPTY_BYTES ? number_at(values[2].data + 12) : 0;
}

static void on_drop(void *ctx, const char *reason)
{
    (void)ctx;
    cr_assert_neq(*reason, '\0');
    server.dropped = true;
}

static void on_correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    correlate(set, batch, store);
}

static void on_over(void *ctx, enum transaction_state outcome)
{
    (void)ctx;
    server.outcome = outcome;
    server.outcomes++;
}

static bool has_unreadable = true, has_image = true;

static void change(struct batch_row *row, uint64_t seq)
{
    static const char jpeg[] = "\xff\xd8\xff\xe0 picture";
    play(row, &(struct step){(int)seq, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0});
    row->alert.registered = true;
    if (seq == WITH_IMAGE && has_image) {
        row->alert.image.kind = IMAGE_JPEG;
        row->alert.image.bytes = (struct str){jpeg, sizeof(jpeg) - 1};
    }
    if (seq == UNREADABLE && has_unreadable)
        row->unreadable = "damaged";
}

static void start_server(void)
{
    static const struct transaction_calls calls = {on_send, on_send_params, on_drop, on_correlate, on_over};
    memset(&server, 0, sizeof(server));
    server.guard_tag = "UPDATE 1";
    server.commit_tag = "COMMIT";
    server.owner = (struct owner){.tag = "a", .change = change};
    server.batch = batch_new(ROWS);
    buf_reserve(&server.batch->bytes, ROWS * RIG_ROW_BYTES);
    server.batch->first_seq = 1;
    for (uint64_t seq = 1; seq <= ROWS; seq++)
        owner_row(&server.owner, server.batch, seq);
    encoded_batch_begin(&server.encoded, server.batch, "test", NULL);
    while (!encoded_batch_step(&server.encoded, 100))
        ;
    transaction_init(&server.transaction, &calls, NULL);
}

static void stop_server(void)
{
    transaction_free(&server.transaction);
    encoded_batch_free(&server.encoded);
    batch_free(&server.batch);
}

/* Runs until it is over, in whatever way. */
static void store_batch(const uint8_t *journal)
{
    transaction_begin(&server.transaction, &server.encoded, "update mobeye.journal_position", journal);
    for (unsigned turns = 0; server.outcomes == 0; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "it does not end: %s", transaction_state_name(&server.transaction));
        if (server.dropped)
            transaction_on_lost(&server.transaction);
        else
            answer();
    }
    cr_assert_eq(server.outcomes, 1);
}

static const uint8_t journal[16] = "of the journal!";

#endif
