/*
 * Values of binary results. Null is 0 or an empty text unless stated otherwise.
 */
#ifndef MOBEYE_STORE_COLUMN_H
#define MOBEYE_STORE_COLUMN_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/buf.h"

uint64_t column_int8(const PGresult *result, int row, int column);
uint32_t column_int4(const PGresult *result, int row, int column, uint32_t null);
int column_int2(const PGresult *result, int row, int column);
double column_float8(const PGresult *result, int row, int column);
float column_real(const PGresult *result, int row, int column); /* null: NAN */

/* Into the result, which must outlive it. */
struct str column_text(const PGresult *result, int row, int column);

/* Wall time. PostgreSQL's infinities are INT64_MIN and INT64_MAX. */
int64_t column_time(const PGresult *result, int row, int column, int64_t null_us);

/* A month counts as 30 days. */
int64_t column_interval_us(const PGresult *result, int row, int column);

/* false, and the outputs stay as they are: not a point with an SRID. */
bool column_point(const PGresult *result, int row, int column, double *ret_lon, double *ret_lat);

/* The number of elements of an array without nulls, with element_bytes each; SIZE_MAX: it is not such an array. */
size_t column_array_length(const PGresult *result, int row, int column, size_t element_bytes);

/* Its element i, from 0. */
const char *column_array_at(const PGresult *result, int row, int column, size_t element_bytes, size_t i);
uint64_t column_int8_array_at(const PGresult *result, int row, int column, size_t i);
int64_t column_time_array_at(const PGresult *result, int row, int column, size_t i);

#endif
