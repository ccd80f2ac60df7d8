#include "store/param.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/alert.h"

void params_set(struct statement_params *ret, const struct buf *values, size_t n)
{
    if (n > STATEMENT_PARAMS_MAX)
        abort(); /* the statement is a constant in the code */
    for (size_t i = 0; i < n; i++) {
        ret->data[i] = values[i].len > 0 ? values[i].data : NULL;
        ret->lengths[i] = (int)values[i].len;
        ret->formats[i] = 1;
    }
}

void params_free(struct buf *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_free(&values[i]);
}

void param_array(struct buf *out, uint32_t element_type, size_t n)
{
    char *p = pgtype_put_array(buf_reserve(out, PGTYPE_ARRAY_HEADER_BYTES), element_type, n);
    out->len = (size_t)(p - out->data);
}

void param_null(struct buf *array)
{
    buf_be32(array, UINT32_MAX);
}

void param_bytes(struct buf *array, const void *bytes, size_t len)
{
    buf_be32(array, (uint32_t)len);
    buf_append(array, bytes, len);
}

void param_text(struct buf *array, struct str text)
{
    param_bytes(array, text.p, text.len);
}

void param_text_or_null(struct buf *array, struct str text)
{
    if (text.len > 0)
        param_text(array, text);
    else
        param_null(array);
}

void param_bool(struct buf *array, bool v)
{
    param_bytes(array, v ? "\1" : "\0", 1);
}

void param_int4(struct buf *array, int32_t v)
{
    if (v == ALERT_NO_INT) {
        param_null(array);
        return;
    }
    buf_be32(array, sizeof(v));
    buf_be32(array, (uint32_t)v);
}

void param_int8(struct buf *array, int64_t v)
{
    buf_be32(array, sizeof(v));
    buf_be64(array, (uint64_t)v);
}

void param_real(struct buf *array, float v)
{
    uint32_t bits;
    if (isnan(v)) {
        param_null(array);
        return;
    }
    memcpy(&bits, &v, sizeof(bits));
    buf_be32(array, sizeof(bits));
    buf_be32(array, bits);
}

void param_time(struct buf *array, int64_t wall_us)
{
    if (wall_us == ALERT_NO_TIME)
        param_null(array);
    else
        param_int8(array, pgtype_timestamp(wall_us));
}

void param_interval(struct buf *array, int64_t us)
{
    if (us == 0) {
        param_null(array);
        return;
    }
    buf_be32(array, 16);
    buf_be64(array, (uint64_t)us);
    buf_be64(array, 0); /* no days, no months */
}

void param_point(struct buf *array, double lon, double lat)
{
    uint8_t point[PGTYPE_POINT_BYTES];
    pgtype_point(point, lon, lat);
    param_bytes(array, point, sizeof(point));
}

void param_box(struct buf *array, const struct extent *extent)
{
    if (extent->west > extent->east) {
        param_null(array);
        return;
    }
    const double corners[] = {extent->east, extent->north, extent->west, extent->south};
    buf_be32(array, sizeof(corners));
    for (size_t i = 0; i < 4; i++) {
        uint64_t bits;
        memcpy(&bits, &corners[i], sizeof(bits));
        buf_be64(array, bits);
    }
}
