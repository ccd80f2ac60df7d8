#include "enrich/areas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GEOS_USE_ONLY_R_API
#include <geos_c.h>
#include <xxhash.h>

#include "base/mem.h"

#define NODE_CAPACITY 10  /* of the tree: GEOS's own default */
#define MEMO_ENTRIES  512 /* a power of two */
#define MEMO_PLACES   4096

struct area {
    struct str layer, code;
    int32_t vintage;
    int64_t from_us, until_us;
    uint32_t layer_number, number; /* from 0, in the order of the layers; in the set */
    GEOSGeometry *outline;
    const GEOSPreparedGeometry *prepared;
};

struct area_set {
    GEOSContextHandle_t geos;
    char error[200];    /* GEOS's last error message */
    struct area *areas; /* by layer; within a layer in order of preference, best first */
    size_t n, n_layers;
    char *text;        /* of the layers and codes */
    GEOSSTRtree *tree; /* NULL: there are no areas */
    char **left_out;
    size_t n_left_out;
};

static void on_geos_error(const char *message, void *arg)
{
    struct area_set *set = arg;
    snprintf(set->error, sizeof(set->error), "%s", message);
}

static int compare_str(struct str a, struct str b)
{
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_areas(const void *left, const void *right)
{
    const struct area *a = left, *b = right;
    int layer = compare_str(a->layer, b->layer);
    if (layer != 0)
        return layer;
    return a->vintage != b->vintage ? (a->vintage < b->vintage) - (a->vintage > b->vintage)
                                    : compare_str(a->code, b->code);
}

static void add_left_out(struct area_set *set, const struct area_rows *rows, size_t i)
{
    struct buf line = {0};
    buf_append_str(&line, area_row_layer(rows, i));
    buf_append_str(&line, STR("/"));
    buf_append_str(&line, area_row_code(rows, i));
    buf_printf(&line, ": %s", set->error);
    set->left_out = mem_realloc(set->left_out, set->n_left_out + 1, sizeof(*set->left_out));
    set->left_out[set->n_left_out++] = mem_strndup(line.data, line.len);
    buf_free(&line);
}

/* The first query of a prepared geometry builds its index, if the point is within the envelope. */
static bool warm_up(struct area_set *set, const struct area *area)
{
    double west, south, east, north;
    if (!GEOSGeom_getXMin_r(set->geos, area->outline, &west) || !GEOSGeom_getYMin_r(set->geos, area->outline, &south) ||
        !GEOSGeom_getXMax_r(set->geos, area->outline, &east) || !GEOSGeom_getYMax_r(set->geos, area->outline, &north))
        return false;
    GEOSGeometry *middle = GEOSGeom_createPointFromXY_r(set->geos, (west + east) / 2, (south + north) / 2);
    char covers = middle ? GEOSPreparedIntersects_r(set->geos, area->prepared, middle) : 2;
    GEOSGeom_destroy_r(set->geos, middle);
    return covers != 2;
}

static bool is_polygonal(struct area_set *set, const GEOSGeometry *outline)
{
    int type = GEOSGeomTypeId_r(set->geos, outline);
    bool fits = (type == GEOS_POLYGON || type == GEOS_MULTIPOLYGON) && GEOSisEmpty_r(set->geos, outline) == 0;
    if (!fits)
        snprintf(set->error, sizeof(set->error), "has no polygon");
    return fits;
}

/* false: the area cannot be used; set->error says why. */
static bool prepare_area(struct area_set *set, GEOSWKBReader *reader, struct str wkb, struct area *area)
{
    area->outline = GEOSWKBReader_read_r(set->geos, reader, (const unsigned char *)wkb.p, wkb.len);
    if (!area->outline || !is_polygonal(set, area->outline))
        return false;
    area->prepared = GEOSPrepare_r(set->geos, area->outline);
    return area->prepared && warm_up(set, area);
}

static void free_area(struct area_set *set, struct area *area)
{
    GEOSPreparedGeom_destroy_r(set->geos, area->prepared);
    GEOSGeom_destroy_r(set->geos, area->outline);
}

static void prepare_areas(struct area_set *set, const struct area_rows *rows)
{
    GEOSWKBReader *reader = GEOSWKBReader_create_r(set->geos);
    for (size_t i = 0; i < rows->n; i++) {
        const struct area_row *row = &rows->rows[i];
        struct area *area = &set->areas[set->n];
        *area = (struct area){.layer = area_row_layer(rows, i),
                              .code = area_row_code(rows, i),
                              .vintage = row->vintage,
                              .from_us = row->from_us,
                              .until_us = row->until_us};
        if (prepare_area(set, reader, area_row_wkb(rows, i), area)) {
            set->n++;
        } else {
            add_left_out(set, rows, i);
            free_area(set, area);
        }
    }
    GEOSWKBReader_destroy_r(set->geos, reader);
}

/* The rows are freed; the texts still needed are copied into one allocation. */
static void copy_text(struct area_set *set)
{
    size_t len = 0;
    for (size_t i = 0; i < set->n; i++)
        len += set->areas[i].layer.len + set->areas[i].code.len;
    char *at = set->text = mem_zalloc(len);
    for (size_t i = 0; i < set->n; i++) {
        struct str *texts[] = {&set->areas[i].layer, &set->areas[i].code};
        for (size_t k = 0; k < 2; k++) {
            memcpy(at, texts[k]->p, texts[k]->len);
            texts[k]->p = at;
            at += texts[k]->len;
        }
    }
}

static void number_areas(struct area_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        if (i == 0 || !str_eq(set->areas[i].layer, set->areas[i - 1].layer))
            set->n_layers++;
        set->areas[i].layer_number = (uint32_t)set->n_layers - 1;
        set->areas[i].number = (uint32_t)i;
    }
}

static void on_item_ignored(void *item, void *arg)
{
    (void)item, (void)arg;
}

/* The tree is built at its first query. */
static void build_tree(struct area_set *set)
{
    if (set->n == 0)
        return;
    set->tree = GEOSSTRtree_create_r(set->geos, NODE_CAPACITY);
    for (size_t i = 0; i < set->n; i++)
        GEOSSTRtree_insert_r(set->geos, set->tree, set->areas[i].outline, &set->areas[i]);
    GEOSSTRtree_query_r(set->geos, set->tree, set->areas[0].outline, on_item_ignored, NULL);
}

struct area_set *area_set_build(const struct area_rows *rows)
{
    struct area_set *set = mem_zalloc(sizeof(*set));
    set->geos = GEOS_init_r();
    GEOSContext_setErrorMessageHandler_r(set->geos, on_geos_error, set);
    set->areas = mem_realloc(NULL, rows->n, sizeof(*set->areas));
    prepare_areas(set, rows);
    copy_text(set);
    qsort(set->areas, set->n, sizeof(*set->areas), compare_areas);
    number_areas(set);
    build_tree(set);
    return set;
}

void area_set_free(struct area_set **set)
{
    struct area_set *s = *set;
    *set = NULL;
    if (!s)
        return;
    if (s->tree)
        GEOSSTRtree_destroy_r(s->geos, s->tree);
    for (size_t i = 0; i < s->n; i++)
        free_area(s, &s->areas[i]);
    for (size_t i = 0; i < s->n_left_out; i++)
        free(s->left_out[i]);
    GEOS_finish_r(s->geos);
    free(s->left_out);
    free(s->areas);
    free(s->text);
    free(s);
}

size_t area_set_count(const struct area_set *set)
{
    return set->n;
}

size_t area_set_n_left_out(const struct area_set *set)
{
    return set->n_left_out;
}

const char *area_set_left_out(const struct area_set *set, size_t i)
{
    return i < set->n_left_out ? set->left_out[i] : NULL;
}

/* Measured with GEOS 3.11: an area of 10 points takes 1.5 KiB, one of 400 points 26 KiB. */
size_t area_set_bytes(const struct area_rows *rows)
{
    return rows->n * 1536 + rows->bytes.len * 5;
}

/* A combination of areas that was already found in this batch. */
struct memo_entry {
    const struct alert_areas *areas; /* NULL: free */
    const uint32_t *numbers;         /* of its areas; both are in the memory of the batch */
};

/* A place that was already looked up in this batch, and the times for which the result is the same. */
struct memo_place {
    const struct alert_areas *areas; /* NULL: free */
    double lon, lat;
    int64_t from_us, until_us;
};

struct area_memo {
    struct memo_entry entries[MEMO_ENTRIES];
    struct memo_place places[MEMO_PLACES];
    uint32_t *best; /* for each layer the number of the area found; after the search only those found */
    size_t n_layers;
};

static void reserve_layers(struct area_memo *memo, size_t n)
{
    if (memo->n_layers >= n)
        return;
    memo->best = mem_realloc(memo->best, n, sizeof(*memo->best));
    memo->n_layers = n;
}

struct area_memo *area_memo_new(void)
{
    struct area_memo *memo = mem_zalloc(sizeof(*memo));
    reserve_layers(memo, 1);
    return memo;
}

void area_memo_free(struct area_memo **memo)
{
    if (*memo)
        free((*memo)->best);
    free(*memo);
    *memo = NULL;
}

void area_memo_clear(struct area_memo *memo)
{
    memset(memo->entries, 0, sizeof(memo->entries));
    memset(memo->places, 0, sizeof(memo->places));
}

#define NO_AREA UINT32_MAX

struct area_search {
    const struct area_set *set;
    GEOSGeometry *place;
    int64_t at_us;
    uint32_t *best;
    int64_t from_us, until_us; /* the period around at_us in which no area nearby begins or ends */
};

static void narrow(struct area_search *search, int64_t boundary_us)
{
    if (boundary_us <= search->at_us && boundary_us > search->from_us)
        search->from_us = boundary_us;
    if (boundary_us > search->at_us && boundary_us < search->until_us)
        search->until_us = boundary_us;
}

/* For a point "intersects" is the same as "covers", and faster in GEOS. */
static void on_area_near(void *item, void *arg)
{
    const struct area *area = item;
    struct area_search *search = arg;
    uint32_t *best = &search->best[area->layer_number];
    narrow(search, area->from_us);
    narrow(search, area->until_us);
    if (area->number < *best && area->from_us <= search->at_us && search->at_us < area->until_us &&
        GEOSPreparedIntersects_r(search->set->geos, area->prepared, search->place) == 1)
        *best = area->number;
}

/* Returns how many areas are found, in memo->best, and sets the times in `ret`. */
static size_t search_areas(const struct area_set *set, struct area_memo *memo, int64_t at_us, struct memo_place *ret)
{
    ret->from_us = INT64_MIN;
    ret->until_us = INT64_MAX;
    if (set->n == 0)
        return 0;
    reserve_layers(memo, set->n_layers);
    memset(memo->best, 0xFF, set->n_layers * sizeof(*memo->best));
    struct area_search search = {
        set, GEOSGeom_createPointFromXY_r(set->geos, ret->lon, ret->lat), at_us, memo->best, INT64_MIN, INT64_MAX};
    GEOSSTRtree_query_r(set->geos, set->tree, search.place, on_area_near, &search);
    GEOSGeom_destroy_r(set->geos, search.place);
    ret->from_us = search.from_us;
    ret->until_us = search.until_us;
    size_t n = 0;
    for (size_t layer = 0; layer < set->n_layers; layer++)
        if (memo->best[layer] != NO_AREA)
            memo->best[n++] = memo->best[layer];
    return n;
}

static const struct alert_areas *copy_areas(const struct area_set *set, struct batch *batch, const uint32_t *numbers,
                                            size_t n)
{
    struct alert_areas *areas = batch_alloc(batch, sizeof(*areas) + n * sizeof(areas->area[0]));
    areas->n = n;
    for (size_t i = 0; i < n; i++)
        areas->area[i] = (struct alert_area){batch_copy_str(batch, set->areas[numbers[i]].layer),
                                             batch_copy_str(batch, set->areas[numbers[i]].code)};
    return areas;
}

static const struct alert_areas *find_combination(const struct area_set *set, struct area_memo *memo,
                                                  struct batch *batch, size_t n)
{
    size_t bytes = n * sizeof(*memo->best);
    struct memo_entry *entry = &memo->entries[XXH3_64bits(memo->best, bytes) % MEMO_ENTRIES];
    if (!entry->areas || entry->areas->n != n || memcmp(entry->numbers, memo->best, bytes) != 0) {
        entry->numbers = batch_copy(batch, memo->best, bytes);
        entry->areas = copy_areas(set, batch, memo->best, n);
    }
    return entry->areas;
}

const struct alert_areas *areas_find(const struct area_set *set, struct area_memo *memo, struct batch *batch,
                                     double lon, double lat, int64_t at_us)
{
    const double key[2] = {lon, lat};
    struct memo_place *place = &memo->places[XXH3_64bits(key, sizeof(key)) % MEMO_PLACES];
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): equal bits, as in the hash
    if (place->areas && memcmp(&place->lon, &lon, sizeof(lon)) == 0 && memcmp(&place->lat, &lat, sizeof(lat)) == 0 &&
        place->from_us <= at_us && at_us < place->until_us)
        return place->areas;
    place->lon = lon;
    place->lat = lat;
    place->areas = find_combination(set, memo, batch, search_areas(set, memo, at_us, place));
    return place->areas;
}
