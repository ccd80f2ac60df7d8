/*
 * Parameters in PostgreSQL's binary formats: arrays, and their elements.
 */
#ifndef MOBEYE_STORE_PARAM_H
#define MOBEYE_STORE_PARAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "model/incident.h"
#include "store/pgtype.h"

enum { STATEMENT_PARAMS_MAX = 80 };

/* The parameters of a statement as libpq expects them. */
struct statement_params {
    const char *data[STATEMENT_PARAMS_MAX];
    int lengths[STATEMENT_PARAMS_MAX], formats[STATEMENT_PARAMS_MAX];
};

/* Points to the values, at most STATEMENT_PARAMS_MAX; an empty one is null. All are binary. */
void params_set(struct statement_params *ret, const struct buf *values, size_t n);

void params_free(struct buf *values, size_t n);

/* Begins an array with one dimension of n elements; exactly n of the following add them. */
void param_array(struct buf *out, uint32_t element_type, size_t n);

void param_null(struct buf *array);
void param_bytes(struct buf *array, const void *bytes, size_t len);
void param_text(struct buf *array, struct str text);
void param_text_or_null(struct buf *array, struct str text); /* empty: null */
void param_bool(struct buf *array, bool v);
void param_int4(struct buf *array, int32_t v); /* ALERT_NO_INT: null */
void param_int8(struct buf *array, int64_t v);
void param_real(struct buf *array, float v);         /* NAN: null */
void param_time(struct buf *array, int64_t wall_us); /* ALERT_NO_TIME: null */
void param_interval(struct buf *array, int64_t us);  /* 0: null */
/* A place as EWKB, for st_geomfromewkb(). */
void param_point(struct buf *array, double lon, double lat);
void param_box(struct buf *array, const struct extent *extent); /* around no place: null */

#endif
