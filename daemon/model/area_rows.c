#include "model/area_rows.h"

#include <stdlib.h>

#include <xxhash.h>

#include "base/mem.h"

struct area_rows *area_rows_new(void)
{
    return mem_zalloc(sizeof(struct area_rows));
}

void area_rows_free(struct area_rows **rows)
{
    if (!*rows)
        return;
    buf_free(&(*rows)->bytes);
    free((*rows)->rows);
    free(*rows);
    *rows = NULL;
}

void area_rows_add(struct area_rows *rows, struct area_row row, struct str layer, struct str code, struct str wkb)
{
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 256;
        rows->rows = mem_realloc(rows->rows, rows->cap, sizeof(*rows->rows));
    }
    row.at = rows->bytes.len;
    row.layer_len = (uint32_t)layer.len;
    row.code_len = (uint32_t)code.len;
    row.wkb_len = (uint32_t)wkb.len;
    buf_append_str(&rows->bytes, layer);
    buf_append_str(&rows->bytes, code);
    buf_append_str(&rows->bytes, wkb);
    rows->rows[rows->n++] = row;
}

uint64_t area_rows_digest(const struct area_rows *rows)
{
    return XXH3_64bits_withSeed(rows->bytes.data, rows->bytes.len,
                                XXH3_64bits(rows->rows, rows->n * sizeof(*rows->rows)));
}

size_t area_rows_bytes(const struct area_rows *rows)
{
    return rows->bytes.cap + rows->cap * sizeof(*rows->rows);
}

struct str area_row_layer(const struct area_rows *rows, size_t i)
{
    const struct area_row *row = &rows->rows[i];
    return (struct str){rows->bytes.data + row->at, row->layer_len};
}

struct str area_row_code(const struct area_rows *rows, size_t i)
{
    const struct area_row *row = &rows->rows[i];
    return (struct str){rows->bytes.data + row->at + row->layer_len, row->code_len};
}

struct str area_row_wkb(const struct area_rows *rows, size_t i)
{
    const struct area_row *row = &rows->rows[i];
    return (struct str){rows->bytes.data + row->at + row->layer_len + row->code_len, row->wkb_len};
}
