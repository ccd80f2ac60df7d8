/* Results of PostgreSQL with another shape than expected: nothing is read beyond them, and a value that cannot be read
 * is as the header says. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "store/column.h"
#include "store/maintenance_jobs.h"
#include "store/pgtype.h"
#include "store/sqlstate.h"

enum { COLUMNS_MAX = 5 };

/* One row; a NULL is null. */
static PGresult *row_of(int n, const char *const *values, const int *lengths)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[COLUMNS_MAX];
    for (int i = 0; i < n; i++)
        columns[i] = (PGresAttDesc){.name = (char *)"c", .format = 1, .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, n, columns));
    for (int i = 0; i < n; i++)
        cr_assert(PQsetvalue(result, 0, i, (char *)values[i], values[i] ? lengths[i] : -1));
    return result;
}

static PGresult *value_of(const void *bytes, size_t len)
{
    const char *values[] = {bytes};
    int lengths[] = {(int)len};
    return row_of(1, values, lengths);
}

#define ASSERT_READ(expected, read, bytes, len)                                                                        \
    do {                                                                                                               \
        PGresult *result = value_of(bytes, len);                                                                       \
        cr_expect((expected) == (read), "%s of %d bytes", #read, (int)(len));                                          \
        PQclear(result);                                                                                               \
    } while (0)

Test(column, a_number_of_another_size_is_as_null)
{
    static const char bytes[] = {0, 0, 0, 0, 0, 0, 1, 2, 9};
    ASSERT_READ(258, column_int8(result, 0, 0), bytes, 8);
    ASSERT_READ(0, column_int8(result, 0, 0), bytes, 9);
    ASSERT_READ(0, column_int8(result, 0, 0), bytes, 4);
    ASSERT_READ(0, column_int8(result, 0, 0), NULL, 0);
    ASSERT_READ(258, column_int4(result, 0, 0, 7), bytes + 4, 4);
    ASSERT_READ(7, column_int4(result, 0, 0, 7), bytes, 8);
    ASSERT_READ(7, column_int4(result, 0, 0, 7), NULL, 0);
    ASSERT_READ(258, column_int2(result, 0, 0), bytes + 6, 2);
    ASSERT_READ(-1, column_int2(result, 0, 0), "\xff\xff", 2);
    ASSERT_READ(0, column_int2(result, 0, 0), bytes, 4);
    ASSERT_READ(1.5, (double)column_real(result, 0, 0), "\x3f\xc0\0\0", 4);
    ASSERT_READ(true, isnan(column_real(result, 0, 0)), NULL, 0);
    ASSERT_READ(true, column_float8(result, 0, 0) == 0, bytes, 4);
}

Test(column, a_time_may_be_infinite_or_null)
{
    ASSERT_READ(INT64_MAX, column_time(result, 0, 0, -5), "\x7f\xff\xff\xff\xff\xff\xff\xff", 8);
    ASSERT_READ(INT64_MIN, column_time(result, 0, 0, -5), "\x80\0\0\0\0\0\0\0", 8);
    ASSERT_READ(PGTYPE_EPOCH_DAYS * CLOCK_DAY, column_time(result, 0, 0, -5), "\0\0\0\0\0\0\0\0", 8);
    ASSERT_READ(-5, column_time(result, 0, 0, -5), NULL, 0);
}

Test(column, an_interval_has_microseconds_days_and_months)
{
    static const char bytes[17] = {0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 1};
    ASSERT_READ(5 + 32 * CLOCK_DAY, column_interval_us(result, 0, 0), bytes, 16);
    ASSERT_READ(0, column_interval_us(result, 0, 0), bytes, 8);
    ASSERT_READ(0, column_interval_us(result, 0, 0), bytes, 17);
}

Test(column, a_point_is_read_in_either_byte_order_and_nothing_else_is_one)
{
    uint8_t point[PGTYPE_POINT_BYTES], other[PGTYPE_POINT_BYTES];
    double lon = 0, lat = 0;
    pgtype_point(point, 5.25, 52.5);
    ASSERT_READ(true, column_point(result, 0, 0, &lon, &lat), point, sizeof(point));
    cr_expect(lon == 5.25 && lat == 52.5);
    memcpy(other, point, sizeof(other));
    other[0] = 0; /* big-endian: each number the other way round */
    for (size_t i = 0; i < 8; i++) {
        other[9 + i] = point[16 - i];
        other[17 + i] = point[24 - i];
    }
    lon = lat = 0;
    ASSERT_READ(true, column_point(result, 0, 0, &lon, &lat), other, sizeof(other));
    cr_expect(lon == 5.25 && lat == 52.5);
    lon = lat = 7;
    ASSERT_READ(false, column_point(result, 0, 0, &lon, &lat), point, sizeof(point) - 4); /* without an SRID */
    ASSERT_READ(false, column_point(result, 0, 0, &lon, &lat), NULL, 0);
    cr_expect(lon == 7 && lat == 7, "they stay as they are");
}

Test(column, what_is_no_array_of_int8_has_no_length)
{
    char array[PGTYPE_ARRAY_HEADER_BYTES + 3 * 12] = {0};
    pgtype_put_array(array, TYPE_INT8, 2);
    memcpy(array + PGTYPE_ARRAY_HEADER_BYTES + 12, "\0\0\0\10\0\0\0\0\0\0\1\1", 12);
    ASSERT_READ(2u, column_array_length(result, 0, 0, 8), array, PGTYPE_ARRAY_HEADER_BYTES + 24);
    ASSERT_READ(257u, column_int8_array_at(result, 0, 0, 1), array, PGTYPE_ARRAY_HEADER_BYTES + 24);
    ASSERT_READ(0u, column_array_length(result, 0, 0, 8), array, PGTYPE_ARRAY_EMPTY_BYTES);
    ASSERT_READ(SIZE_MAX, column_array_length(result, 0, 0, 8), array,
                PGTYPE_ARRAY_HEADER_BYTES + 20); /* a null in it */
    ASSERT_READ(SIZE_MAX, column_array_length(result, 0, 0, 8), array, 8);
    ASSERT_READ(SIZE_MAX, column_array_length(result, 0, 0, 8), NULL, 0);
}

/* The message of libpq itself, for lack of one from the server. */
static void read_fault_of(const char *text, struct fault *ret)
{
    PGconn *conn = PQconnectdb(text); /* not a conninfo: nothing is tried, and the message quotes it */
    PGresult *result = PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
    memset(ret, 0xff, sizeof(*ret));
    fault_read(ret, result);
    PQclear(result);
    PQfinish(conn);
}

Test(column, a_fault_without_an_answer_is_a_lost_connection_in_one_line)
{
    struct fault fault;
    read_fault_of("a=b nonsense", &fault);
    cr_expect_eq(fault.class, SQLSTATE_RECONNECT);
    cr_expect_str_empty(fault.sqlstate);
    cr_expect_eq(fault.line, 0);
    cr_expect_gt(strlen(fault.text), 10);
    cr_expect_null(strchr(fault.text, '\n'));
}

Test(column, a_long_message_is_cut_between_characters)
{
    for (size_t lead = 0; lead < 4; lead++) {
        char text[1200] = "xxxx=";
        struct fault fault;
        for (size_t at = 5 + lead; at + 3 < sizeof(text); at += 3) /* of three bytes each */
            memcpy(text + at, "\xe2\x82\xac", 4);
        memset(text, 'x', 4);
        memset(text + 5, 'y', lead);
        text[4] = 'x';
        read_fault_of(text, &fault);
        size_t len = strlen(fault.text), whole = 0;
        cr_assert(len >= sizeof(fault.text) - 4 && len < sizeof(fault.text), "%zu", len);
        for (whole = strcspn(fault.text, "\xe2");
             whole + 3 <= len && memcmp(fault.text + whole, "\xe2\x82\xac", 3) == 0;)
            whole += 3;
        cr_expect_eq(whole, len, "no part of a character is left at the end");
    }
}

static const struct maintenance_job *job_of(enum maintenance_rows rows)
{
    size_t i = 0;
    while (maintenance_jobs[i].rows != rows)
        cr_assert_lt(++i, MAINTENANCE_JOBS);
    return &maintenance_jobs[i];
}

static void assert_why(enum maintenance_rows rows, int n, const char *const *values, const char *expected)
{
    int lengths[COLUMNS_MAX];
    struct buf why = {0};
    for (int i = 0; i < n; i++)
        lengths[i] = values[i] ? (int)strlen(values[i]) : 0;
    PGresult *result = row_of(n, values, lengths);
    cr_expect_eq(maintenance_rows_fail(job_of(rows), result, &why), expected != NULL);
    cr_expect(str_is(buf_str(&why), expected ? expected : ""), "%.*s", (int)why.len, why.data);
    PQclear(result);
    buf_free(&why);
}

Test(column, a_job_fails_by_the_rows_of_its_result)
{
    assert_why(MAINTENANCE_ROWS_ERASED, 5, (const char *[]){"partition", "alarm", "alarm_20261101", "3", NULL}, NULL);
    assert_why(MAINTENANCE_ROWS_ERASED, 5, (const char *[]){"partition", "alarm", "alarm_20261101", "0", "in use"},
               "alarm_20261101: in use");
    assert_why(MAINTENANCE_ROWS_ERASED, 5, (const char *[]){"fixes", NULL, NULL, "0", "denied"}, "fixes: denied");
    assert_why(MAINTENANCE_ROWS_OVERDUE, 3, (const char *[]){"camera", "31", "12"},
               "camera: 12 rows should have been erased up to 31 hours ago (expected less than 24)");
    assert_why(MAINTENANCE_ROWS_SILENT, 1, (const char *[]){"NL-1"}, NULL);
}
