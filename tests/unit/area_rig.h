/*
 * For tests of areas: rows from WKT, and what was found as one line of text.
 */
#ifndef MOBEYE_TESTS_AREA_RIG_H
#define MOBEYE_TESTS_AREA_RIG_H

#include <criterion/criterion.h>
#include <stdint.h>

#define GEOS_USE_ONLY_R_API
#include <geos_c.h>

#include "enrich/areas.h"

#define NO_VINTAGE INT32_MIN

/* Holds from from_us to until_us, end excluded. */
static inline void area_rig_add(struct area_rows *rows, const char *layer, const char *code, const char *wkt,
                                int32_t vintage, int64_t from_us, int64_t until_us)
{
    GEOSContextHandle_t geos = GEOS_init_r();
    GEOSWKTReader *reader = GEOSWKTReader_create_r(geos);
    GEOSWKBWriter *writer = GEOSWKBWriter_create_r(geos);
    GEOSGeometry *outline = GEOSWKTReader_read_r(geos, reader, wkt);
    cr_assert_not_null(outline, "%s", wkt);
    size_t size = 0;
    unsigned char *wkb = GEOSWKBWriter_write_r(geos, writer, outline, &size);
    struct area_row row = {.vintage = vintage, .from_us = from_us, .until_us = until_us};
    area_rows_add(rows, row, str_from(layer), str_from(code), (struct str){(char *)wkb, size});
    GEOSFree_r(geos, wkb);
    GEOSGeom_destroy_r(geos, outline);
    GEOSWKBWriter_destroy_r(geos, writer);
    GEOSWKTReader_destroy_r(geos, reader);
    GEOS_finish_r(geos);
}

static inline void area_rig_always(struct area_rows *rows, const char *layer, const char *code, const char *wkt)
{
    area_rig_add(rows, layer, code, wkt, NO_VINTAGE, INT64_MIN, INT64_MAX);
}

/* "layer=code layer=code", in the order of the areas. The text is the batch's. */
static inline const char *area_rig_text(struct batch *batch, const struct alert_areas *areas)
{
    struct buf text = {0};
    for (size_t i = 0; i < areas->n; i++)
        buf_printf(&text, "%s%.*s=%.*s", i ? " " : "", (int)areas->area[i].layer.len, areas->area[i].layer.p,
                   (int)areas->area[i].code.len, areas->area[i].code.p);
    buf_append(&text, "", 1);
    const char *kept = batch_copy(batch, text.data, text.len);
    buf_free(&text);
    return kept;
}

#endif
