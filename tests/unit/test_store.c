/* The parts of the writer that need no database. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/copyrow.h"
#include "store/encoded_batch.h"
#include "store/identity.h"
#include "store/param.h"
#include "store/pgconn.h"
#include "store/sqlstate.h"

Test(store, classes_of_sqlstates)
{
    static const struct {
        const char *sqlstate, *constraint;
        enum sqlstate_class class;
    } cases[] = {
        {"08006", NULL, SQLSTATE_RETRY},     {"40001", NULL, SQLSTATE_RETRY},   {"40P01", NULL, SQLSTATE_RETRY},
        {"53100", NULL, SQLSTATE_RETRY},     {"55P03", NULL, SQLSTATE_RETRY},   {"57014", NULL, SQLSTATE_RETRY},
        {"25006", NULL, SQLSTATE_RECONNECT}, {NULL, NULL, SQLSTATE_RECONNECT},  {"", NULL, SQLSTATE_RECONNECT},
        {"23514", NULL, SQLSTATE_PARTITION}, {"23514", "", SQLSTATE_PARTITION}, {"23514", "c", SQLSTATE_REFUSED},
        {"23505", "key", SQLSTATE_REFUSED},  {"23502", NULL, SQLSTATE_REFUSED}, {"22021", NULL, SQLSTATE_REFUSED},
        {"22P02", NULL, SQLSTATE_REFUSED},   {"42501", NULL, SQLSTATE_STOP},    {"42P01", NULL, SQLSTATE_STOP},
        {"28P01", NULL, SQLSTATE_STOP},      {"3D000", NULL, SQLSTATE_STOP},    {"XX000", NULL, SQLSTATE_STOP},
        {"25P02", NULL, SQLSTATE_STOP},      {"P0001", NULL, SQLSTATE_STOP},    {"54000", NULL, SQLSTATE_STOP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(sqlstate_class(cases[i].sqlstate, cases[i].constraint), cases[i].class, "%s", cases[i].sqlstate);
}

/* python3: struct.pack('>Q', XXH3_64bits_withSeed(source, len(source), number // 65536))[:3], the function by ctypes,
 * then hashlib.blake2b(struct.pack('>I', len(source)) + source + event_id, digest_size=16).digest()[3:] */
Test(store, an_identity_is_the_same_for_ever)
{
    uint8_t id[IDENTITY_BYTES];
    char text[IDENTITY_TEXT_SIZE];
    identity_of(STR("/mobeye/gateway-1"), STR("7f1c-000123"), id);
    cr_expect_str_eq(identity_text(id, text), "d65bc655-1ecc-b9f4-427c-b44734c36164");
    identity_of((struct str){0}, STR("x"), id);
    cr_expect_str_eq(identity_text(id, text), "2d068035-ec84-3efb-4607-f83a5d4b81fe");
    uint8_t other[IDENTITY_BYTES];
    identity_of(STR("ab"), STR("c"), id);
    identity_of(STR("a"), STR("bc"), other);
    cr_expect_neq(memcmp(id, other, sizeof(id)), 0, "where the source ends is part of it");
}

static int compare_neighbourhoods(const char *source, const char *event_id, const char *other)
{
    uint8_t x[IDENTITY_BYTES], y[IDENTITY_BYTES];
    identity_of(str_from(source), str_from(event_id), x);
    identity_of(str_from(source), str_from(other), y);
    cr_expect_neq(memcmp(x, y, sizeof(x)), 0, "%s and %s are two alerts", event_id, other);
    return memcmp(x, y, IDENTITY_NEIGHBOURHOOD_BYTES);
}

Test(store, identities_of_alerts_numbered_in_a_row_are_neighbours)
{
    cr_expect_eq(compare_neighbourhoods("s", "7f1c-000123", "7f1c-000124"), 0);
    cr_expect_eq(compare_neighbourhoods("s", "65536", "131071"), 0);
    cr_expect_neq(compare_neighbourhoods("s", "65535", "65536"), 0);
    cr_expect_eq(compare_neighbourhoods("/frigate/noord", "1732394651.25-x9:new", "1732394660.25-q4:new"), 0);
    cr_expect_eq(compare_neighbourhoods("s", "1732394651.25-x9:new", "1732394651.25-x9:update:1732399999.5"), 0);
    cr_expect_eq(compare_neighbourhoods("s", "one", "two"), 0);
    cr_expect_eq(compare_neighbourhoods("s", "18446744073709551617", "1"), 0, "modulo 2^64");
    uint8_t id[IDENTITY_BYTES], other[IDENTITY_BYTES];
    identity_of(STR("gateway-1"), STR("1"), id);
    identity_of(STR("gateway-2"), STR("1"), other);
    cr_expect_neq(memcmp(id, other, IDENTITY_NEIGHBOURHOOD_BYTES), 0, "of two senders");
}

/* python3: hashlib.blake2b(b'\xff' + identity + device, digest_size=16) */
Test(store, an_own_identity_is_the_same_for_ever)
{
    uint8_t id[IDENTITY_BYTES], own[IDENTITY_BYTES], other[IDENTITY_BYTES];
    char text[IDENTITY_TEXT_SIZE];
    identity_of(STR("/mobeye/gateway-1"), STR("7f1c-000123"), id);
    identity_own(id, STR("NL-0307-00042"), own);
    cr_expect_str_eq(identity_text(own, text), "aac445d7-559e-0e5c-6cb3-0e10b659b5bd");
    cr_expect_eq(identity_device(own), UINT64_C(12305036873039744604));
    identity_own(id, STR("NL-0307-00043"), other);
    cr_expect_neq(memcmp(own, other, sizeof(own)), 0);
    memset(own, 0, sizeof(own));
    cr_expect_neq(identity_device(own), 0u, "0 stands for a device that does not matter");
}

/* Fields of a failure of the server. */
static const char *field_context, *field_message;

char *PQresultErrorField(const PGresult *result, int field)
{
    (void)result;
    return field == PG_DIAG_SQLSTATE          ? (char *)"22003"
           : field == PG_DIAG_CONTEXT         ? (char *)field_context
           : field == PG_DIAG_MESSAGE_PRIMARY ? (char *)field_message
                                              : NULL;
}

/* The words may be in another language. */
Test(store, the_line_of_a_copy_is_the_row_that_is_refused)
{
    static const struct {
        const char *context;
        size_t line;
    } cases[] = {
        {"COPY alert, line 17, column payload", 17},
        {"COPY alert, Zeile 3: \"5\"", 3},
        {"COPY snapshot, line 21", 21},
        {"Funktion f()\nCOPY alert, line 4", 4},
        {"COPY alert, line", 0},
        {"COPY alert, line\nof 7", 0},
        {"COPY alert,", 0},
        {"COPY alert_identity, line 9", 0},
        {"SQL statement", 0},
        {NULL, 0},
    };
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fault fault;
        field_context = cases[i].context;
        field_message = "no";
        fault_read(&fault, result);
        cr_expect_eq(fault.line, cases[i].line, "%s: %zu", cases[i].context, fault.line);
        cr_expect_eq(fault.class, SQLSTATE_REFUSED);
    }
    PQclear(result);
}

/* It is logged, and stored in quarantine, whose text must be UTF-8. */
Test(store, a_message_is_one_line_and_is_not_cut_within_a_character)
{
    char long_text[600];
    struct fault fault;
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    field_context = NULL;
    field_message = "first\nsecond";
    fault_read(&fault, result);
    cr_expect_str_eq(fault.text, "first");
    field_message = long_text;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(long_text, 'a', shift);
        for (size_t at = shift; at + 3 < sizeof(long_text); at += 3)
            memcpy(long_text + at, "\xe2\x82\xac", 4); /* the sign of the euro */
        fault_read(&fault, result);
        size_t len = strlen(fault.text);
        cr_expect_eq((len - shift) % 3, 0, "%zu bytes", len);
        cr_expect_gt(len, sizeof(fault.text) - 5);
    }
    memset(long_text, '\x80', sizeof(long_text) - 1); /* not UTF-8 at all */
    long_text[sizeof(long_text) - 1] = '\0';
    fault_read(&fault, result);
    cr_expect_str_eq(fault.text, "");
    field_message = NULL;
    fault_read(&fault, result);
    cr_expect_eq(strchr(fault.text, '\n'), NULL);
    PQclear(result);
}

Test(store, the_backoff_stays_within_its_bounds_and_uses_them)
{
    for (unsigned round = 0; round < 70; round += 3) {
        int64_t least = INT64_MAX, most = 0, bound = round < 9 ? CLOCK_MS * 100 << round : 30 * CLOCK_SECOND;
        for (int i = 0; i < 1000; i++) {
            int64_t us = pgconn_backoff_us(100 * CLOCK_MS, 30 * CLOCK_SECOND, round);
            least = us < least ? us : least;
            most = us > most ? us : most;
        }
        cr_expect_geq(least, 0);
        cr_expect_leq(most, bound);
        cr_expect_lt(least, bound / 4, "full jitter");
        cr_expect_gt(most, bound / 4 * 3);
    }
}

/* A batch of n alerts; the event ids are the characters of `events`. '-' is an unreadable record. */
static struct batch *batch_of(const char *events)
{
    struct batch *batch = batch_new(strlen(events));
    for (; *events; events++) {
        struct batch_row *row = &batch->rows[batch->n++];
        *row = (struct batch_row){0};
        row->alert = (struct alert){
            .source = STR("s"),
            .event_id = {events, 1},
            .input = ALERT_NO_INT,
            .skew_us = ALERT_NO_TIME,
            .place.accuracy_m = NAN,
            .payload = STR("{}"),
        };
        row->unreadable = *events == '-' ? "damaged" : NULL;
    }
    return batch;
}

static void expect_statuses(const struct encoded_batch *encoded, const char *expected)
{
    for (size_t i = 0; expected[i]; i++)
        cr_expect_eq("SDRU"[encoded->status[i]], expected[i], "row %zu", i);
}

/* The whole COPY that the encoded sends of those rows, as bytes. */
static struct buf sent(struct encoded_batch *encoded, size_t first, size_t stop)
{
    struct buf all = {0};
    struct str chunk;
    encoded_batch_copy_begin(encoded, first, stop, NULL);
    while (encoded_batch_next_chunk(encoded, &chunk))
        buf_append_str(&all, chunk);
    return all;
}

Test(store, a_parcel_knows_doubles_and_unreadable_records)
{
    struct encoded_batch encoded = {0};
    struct batch *batch = batch_of("cab-acb");
    encoded_batch_begin(&encoded, batch, "i", NULL);
    encoded_batch_step(&encoded, SIZE_MAX);
    expect_statuses(&encoded, "SSSUDDD");
    cr_expect_eq(encoded.ids, 3);
    for (size_t i = 1; i < encoded.ids; i++)
        cr_expect(encoded.id[i - 1].high < encoded.id[i].high ||
                  (encoded.id[i - 1].high == encoded.id[i].high && encoded.id[i - 1].low < encoded.id[i].low));
    cr_expect_eq(encoded.refused, 1);
    struct fault fault = {.sqlstate = "22000", .text = "why"};
    encoded_batch_refuse(&encoded, 1, &fault);
    expect_statuses(&encoded, "SRSUDDD");
    cr_expect_eq(encoded_batch_nth_row(&encoded, 0, 2), 2);
    cr_expect_eq(encoded_batch_nth_row(&encoded, 0, 3), 7);
    encoded_batch_reset(&encoded);
    expect_statuses(&encoded, "SSSUDDD");
    cr_expect_eq(encoded.refused, 1);
    encoded_batch_free(&encoded);
    batch_free(&batch);
}

Test(store, a_parcel_sends_the_rows_that_are_to_be_stored_and_no_others)
{
    struct encoded_batch encoded = {0}, alone = {0};
    struct batch *batch = batch_of("abcab"), *some = batch_of("ac");
    encoded_batch_begin(&encoded, batch, "i", NULL);
    encoded_batch_step(&encoded, SIZE_MAX);
    encoded_batch_begin(&alone, some, "i", NULL);
    encoded_batch_step(&alone, SIZE_MAX);
    struct fault fault = {.sqlstate = "22000"};
    encoded_batch_refuse(&encoded, 1, &fault);
    struct buf got = sent(&encoded, 0, 5), expected = sent(&alone, 0, 2);
    cr_expect_arr_eq(got.data, expected.data, expected.len);
    cr_expect_eq(got.len, expected.len);
    buf_free(&got);
    buf_free(&expected);
    got = sent(&encoded, 3, 5);
    cr_expect_eq(got.len, copyrow_header.len + copyrow_trailer.len, "duplicates alone");
    buf_free(&got);
    encoded_batch_free(&encoded);
    encoded_batch_free(&alone);
    batch_free(&batch);
    batch_free(&some);
}

Test(store, chunks_are_bounded_and_a_row_is_never_split)
{
    enum { ROWS = 40 };
    struct batch *batch = batch_new(ROWS);
    char *big = mem_zalloc(ALERT_PAYLOAD_MAX);
    memset(big, ' ', ALERT_PAYLOAD_MAX);
    for (size_t i = 0; i < ROWS; i++) {
        struct batch *one = batch_of("x");
        batch->rows[batch->n++] = one->rows[0];
        batch->rows[i].alert.event_id = (struct str){"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH" + i, 1};
        batch->rows[i].alert.payload = (struct str){big, i % 8 == 0 ? ALERT_PAYLOAD_MAX : 10000};
        batch_free(&one);
    }
    struct encoded_batch encoded = {0};
    struct str chunk;
    size_t chunks = 0;
    encoded_batch_begin(&encoded, batch, "i", NULL);
    encoded_batch_step(&encoded, SIZE_MAX);
    encoded_batch_copy_begin(&encoded, 0, ROWS, NULL);
    while (encoded_batch_next_chunk(&encoded, &chunk)) {
        cr_expect_leq(chunk.len, 70000);
        chunks++;
    }
    cr_expect_eq(encoded.next, (size_t)ROWS);
    cr_expect_gt(chunks, 10);
    encoded_batch_free(&encoded);
    batch_free(&batch);
    free(big);
}

/* It makes no difference whether its buffer was used before. */
Test(store, an_empty_parameter_is_null)
{
    struct statement_params sent;
    struct buf values[3] = {{0}, {0}, {0}};
    buf_append(&values[1], "before", 6);
    values[1].len = 0;
    buf_append(&values[2], "text", 4);
    params_set(&sent, values, 3);
    cr_expect_null(sent.data[0]);
    cr_expect_null(sent.data[1]);
    cr_expect_eq(sent.data[2], values[2].data);
    cr_expect_eq(sent.lengths[2], 4);
    cr_expect_eq(sent.formats[0] + sent.formats[1] + sent.formats[2], 3, "all are binary");
    for (size_t i = 0; i < 3; i++)
        buf_free(&values[i]);
}

Test(store, a_statement_with_too_many_parameters_is_fatal, .signal = SIGABRT)
{
    static const struct buf values[STATEMENT_PARAMS_MAX + 1];
    struct statement_params sent;
    params_set(&sent, values, STATEMENT_PARAMS_MAX + 1);
}
