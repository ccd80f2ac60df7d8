#include "store/image_rows.h"

#include <math.h>
#include <string.h>

#include "store/copyrow.h"
#include "store/pgtype.h"

enum { IMAGE_COLUMNS = 10 };

static bool has_image(const struct encoded_batch *encoded, size_t row)
{
    return encoded->status[row] == ROW_STORE && encoded->batch->rows[row].alert.image.kind != IMAGE_NONE;
}

static size_t next_row(const struct encoded_batch *encoded, size_t row)
{
    while (row < encoded->batch->n && !has_image(encoded, row))
        row++;
    return row;
}

void image_rows_free(struct image_rows *rows)
{
    buf_free(&rows->head);
    *rows = (struct image_rows){0};
}

bool image_rows_any(const struct encoded_batch *encoded)
{
    return next_row(encoded, 0) < encoded->batch->n;
}

size_t image_rows_nth_row(const struct encoded_batch *encoded, size_t nth)
{
    size_t row = next_row(encoded, 0);
    while (row < encoded->batch->n && --nth > 0)
        row = next_row(encoded, row + 1);
    return row;
}

void image_rows_begin(struct image_rows *rows, const struct encoded_batch *encoded, const struct incident_set *set)
{
    rows->encoded = encoded;
    rows->set = set;
    rows->next = next_row(encoded, 0);
    rows->image = (struct str){0};
    rows->headed = rows->ended = false;
}

static void put_null(struct buf *out)
{
    buf_be32(out, UINT32_MAX);
}

static void put_value(struct buf *out, const void *bytes, size_t len)
{
    buf_be32(out, (uint32_t)len);
    buf_append(out, bytes, len);
}

static void put_int8(struct buf *out, uint64_t value)
{
    buf_be32(out, sizeof(value));
    buf_be64(out, value);
}

static void put_int8_or_null(struct buf *out, uint64_t value)
{
    if (value == 0)
        put_null(out);
    else
        put_int8(out, value);
}

static void put_side(struct buf *out, uint32_t side)
{
    if (side == 0) {
        put_null(out);
        return;
    }
    buf_be32(out, sizeof(side));
    buf_be32(out, side);
}

static void put_score(struct buf *out, float score)
{
    uint32_t bits;
    if (isnan(score)) {
        put_null(out);
        return;
    }
    memcpy(&bits, &score, sizeof(bits));
    buf_be32(out, sizeof(bits));
    buf_be32(out, bits);
}

/* A row up to the length of its image. */
static void put_head(struct image_rows *rows, size_t row)
{
    const struct alert *alert = &rows->encoded->batch->rows[row].alert;
    const char *type = image_media_type(alert->image.kind);
    struct buf *out = &rows->head;
    uint64_t incident = alert->incident == NO_INCIDENT ? 0 : rows->set->incidents[alert->incident].id;
    out->len = 0;
    buf_be16(out, IMAGE_COLUMNS);
    put_value(out, rows->encoded->own[row], IDENTITY_BYTES);
    put_int8(out, (uint64_t)pgtype_timestamp(alert->occurred_us));
    put_int8_or_null(out, incident);
    put_value(out, alert->device.p, alert->device.len);
    put_int8_or_null(out, alert->placement_id);
    put_score(out, alert->camera.score);
    put_value(out, type, strlen(type));
    put_side(out, alert->image.width);
    put_side(out, alert->image.height);
    buf_be32(out, (uint32_t)alert->image.bytes.len);
}

static struct str next_piece(struct image_rows *rows)
{
    size_t len = rows->image.len < COPYROW_CHUNK_BYTES ? rows->image.len : COPYROW_CHUNK_BYTES;
    struct str piece = {rows->image.p, len};
    rows->image = (struct str){rows->image.p + len, rows->image.len - len};
    return piece;
}

bool image_rows_next_chunk(struct image_rows *rows, struct str *ret)
{
    if (!rows->headed) {
        rows->headed = true;
        *ret = copyrow_header;
    } else if (rows->image.len > 0) {
        *ret = next_piece(rows);
    } else if (rows->next < rows->encoded->batch->n) {
        put_head(rows, rows->next);
        rows->image = rows->encoded->batch->rows[rows->next].alert.image.bytes;
        rows->next = next_row(rows->encoded, rows->next + 1);
        *ret = buf_str(&rows->head);
    } else if (!rows->ended) {
        rows->ended = true;
        *ret = copyrow_trailer;
    } else {
        return false;
    }
    return true;
}
