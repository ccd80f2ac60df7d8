/* Any bytes as areas, in one piece and in two: the same areas from both, with consistent EWKB, or diagnostics; no
 * crash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/registry/geojson_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    struct line_diagnostics line_diagnostics;
    struct buf areas;
};

static uint32_t take32(struct str *rest)
{
    const unsigned char *p = (const unsigned char *)rest->p;
    if (rest->len < 4)
        abort();
    *rest = (struct str){rest->p + 4, rest->len - 4};
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void skip(struct str *rest, size_t len)
{
    if (rest->len < len)
        abort();
    *rest = (struct str){rest->p + len, rest->len - len};
}

/* MultiPolygon of polygons of rings of 4 positions or more, and nothing after them. */
static void check_ewkb(struct str rest)
{
    skip(&rest, 9);
    for (uint32_t polygons = take32(&rest); polygons > 0; polygons--) {
        skip(&rest, 5);
        for (uint32_t rings = take32(&rest); rings > 0; rings--) {
            uint32_t positions = take32(&rest);
            if (positions < 4)
                abort();
            skip(&rest, (size_t)positions * 16);
        }
    }
    if (rest.len > 0)
        abort();
}

static void on_area(void *ctx, const struct geojson_area *area)
{
    struct heard *heard = ctx;
    check_ewkb(area->ewkb);
    buf_append_str(&heard->areas, area->code);
    buf_append_str(&heard->areas, area->ewkb);
    buf_be64(&heard->areas, area->line);
}

static struct heard read_in_two(const char *bytes, size_t size, size_t first)
{
    struct heard heard = {0};
    struct geojson_reader *reader = geojson_reader_new("fuzz.geojson", on_area, &heard, &heard.line_diagnostics);
    if (geojson_reader_feed(reader, bytes, first))
        geojson_reader_feed(reader, bytes + first, size - first);
    if (!geojson_reader_finish(reader) && heard.line_diagnostics.errors == 0)
        abort();
    geojson_reader_free(&reader);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = size ? (const char *)data : "";
    struct heard whole = read_in_two(bytes, size, size);
    struct heard halves = read_in_two(bytes, size, size > 3 ? size / 2 + 1 : size);
    if (whole.line_diagnostics.n != halves.line_diagnostics.n || !str_eq(buf_str(&whole.areas), buf_str(&halves.areas)))
        abort();
    line_diagnostics_free(&whole.line_diagnostics);
    line_diagnostics_free(&halves.line_diagnostics);
    buf_free(&whole.areas);
    buf_free(&halves.areas);
    return 0;
}
