#include "store/column.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "store/pgtype.h"

static uint64_t int8_from(const char *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, sizeof(v));
    return be64toh(v);
}

static uint32_t int4_from(const char *bytes)
{
    uint32_t v;
    memcpy(&v, bytes, sizeof(v));
    return be32toh(v);
}

static bool has_bytes(const PGresult *result, int row, int column, size_t n)
{
    return (size_t)PQgetlength(result, row, column) == n;
}

uint64_t column_int8(const PGresult *result, int row, int column)
{
    return has_bytes(result, row, column, sizeof(uint64_t)) ? int8_from(PQgetvalue(result, row, column)) : 0;
}

uint32_t column_int4(const PGresult *result, int row, int column, uint32_t null)
{
    return has_bytes(result, row, column, sizeof(uint32_t)) ? int4_from(PQgetvalue(result, row, column)) : null;
}

int column_int2(const PGresult *result, int row, int column)
{
    uint16_t v = 0;
    if (has_bytes(result, row, column, sizeof(v)))
        memcpy(&v, PQgetvalue(result, row, column), sizeof(v));
    return (int16_t)be16toh(v);
}

double column_float8(const PGresult *result, int row, int column)
{
    uint64_t bits = column_int8(result, row, column);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

float column_real(const PGresult *result, int row, int column)
{
    uint32_t bits = column_int4(result, row, column, 0);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return PQgetisnull(result, row, column) ? NAN : v;
}

struct str column_text(const PGresult *result, int row, int column)
{
    return (struct str){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

static int64_t time_from(uint64_t timestamp)
{
    int64_t v = (int64_t)timestamp;
    return v == INT64_MIN || v == INT64_MAX ? v : pgtype_wall_us(v);
}

int64_t column_time(const PGresult *result, int row, int column, int64_t null_us)
{
    return PQgetisnull(result, row, column) ? null_us : time_from(column_int8(result, row, column));
}

/* Microseconds, days, months. */
int64_t column_interval_us(const PGresult *result, int row, int column)
{
    if (!has_bytes(result, row, column, 16))
        return 0;
    const char *bytes = PQgetvalue(result, row, column);
    int64_t days = (int32_t)int4_from(bytes + 8), months = (int32_t)int4_from(bytes + 12);
    return (int64_t)int8_from(bytes) + (days + 30 * months) * CLOCK_DAY;
}

/* EWKB, in the byte order of the server. */
bool column_point(const PGresult *result, int row, int column, double *ret_lon, double *ret_lat)
{
    uint64_t halves[2];
    const char *bytes = PQgetvalue(result, row, column);
    if (!has_bytes(result, row, column, PGTYPE_POINT_BYTES))
        return false;
    memcpy(halves, bytes + 9, sizeof(halves));
    for (size_t i = 0; i < 2; i++)
        halves[i] = bytes[0] ? le64toh(halves[i]) : be64toh(halves[i]);
    memcpy(ret_lon, &halves[0], sizeof(*ret_lon));
    memcpy(ret_lat, &halves[1], sizeof(*ret_lat));
    return true;
}

size_t column_array_length(const PGresult *result, int row, int column, size_t element_bytes)
{
    size_t len = (size_t)PQgetlength(result, row, column), each = PGTYPE_LENGTH_BYTES + element_bytes;
    if (len == PGTYPE_ARRAY_EMPTY_BYTES)
        return 0;
    if (len < PGTYPE_ARRAY_HEADER_BYTES || (len - PGTYPE_ARRAY_HEADER_BYTES) % each != 0)
        return SIZE_MAX;
    return (len - PGTYPE_ARRAY_HEADER_BYTES) / each;
}

const char *column_array_at(const PGresult *result, int row, int column, size_t element_bytes, size_t i)
{
    const char *elements = PQgetvalue(result, row, column) + PGTYPE_ARRAY_HEADER_BYTES;
    return elements + i * (PGTYPE_LENGTH_BYTES + element_bytes) + PGTYPE_LENGTH_BYTES;
}

uint64_t column_int8_array_at(const PGresult *result, int row, int column, size_t i)
{
    return int8_from(column_array_at(result, row, column, sizeof(uint64_t), i));
}

int64_t column_time_array_at(const PGresult *result, int row, int column, size_t i)
{
    return time_from(column_int8_array_at(result, row, column, i));
}
