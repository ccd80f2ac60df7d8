#include "store/registry_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "model/alert.h"
#include "store/column.h"
#include "store/pgtype.h"
#include "store/sqlstate.h"

/* Columns of mobeye.registry_since(). */
enum {
    REGISTRY_VERSION,
    REGISTRY_DEVICE,
    REGISTRY_WHAT,
    REGISTRY_NAME,
    REGISTRY_INPUT,
    REGISTRY_ID,
    REGISTRY_SINCE,
    REGISTRY_UNTIL,
    REGISTRY_LON,
    REGISTRY_LAT,
    REGISTRY_ACCURACY,
};

/* Columns of mobeye.areas_now(). */
enum { AREA_VERSION, AREA_LAYER, AREA_CODE, AREA_VINTAGE, AREA_SINCE, AREA_UNTIL, AREA_POLYGON };

/* The rows of one device, gathered. */
struct registry_reader {
    struct registry *registry;
    uint64_t version;
    bool everything;
    char id[ALERT_DEVICE_MAX];
    struct registry_entry entry; /* id.len 0: no device yet; its arrays are those below */
    struct placement *placements;
    struct dc09_address_holding *addresses;
    size_t cap_placements, cap_addresses;
    struct fix fix; /* INT64_MIN: none */
};

struct registry_reader *registry_reader_new(struct registry *registry)
{
    struct registry_reader *reader = mem_zalloc(sizeof(*reader));
    reader->registry = registry;
    return reader;
}

void registry_reader_free(struct registry_reader **reader)
{
    struct registry_reader *r = *reader;
    *reader = NULL;
    if (!r)
        return;
    free(r->placements);
    free(r->addresses);
    free(r);
}

/* The first row. */
static void take_head(struct registry_reader *r, const PGresult *result, int row)
{
    r->version = column_int8(result, row, REGISTRY_VERSION);
    r->everything = str_is(column_text(result, row, REGISTRY_NAME), "everything");
    if (r->everything)
        registry_load_begin(r->registry);
}

static void take_device(struct registry_reader *r, const PGresult *result, int row)
{
    r->entry.registered = true;
    r->entry.group = registry_word(r->registry, column_text(result, row, REGISTRY_NAME));
}

/* The row of a deleted device has no effect: without a row `device` it is not registered. */
static void take_gone(struct registry_reader *r, const PGresult *result, int row)
{
    (void)r, (void)result, (void)row;
}

static void take_address(struct registry_reader *r, const PGresult *result, int row)
{
    if (r->entry.n_addresses == r->cap_addresses) {
        r->cap_addresses = r->cap_addresses ? 2 * r->cap_addresses : 8;
        r->addresses = mem_realloc(r->addresses, r->cap_addresses, sizeof(*r->addresses));
    }
    int32_t input = (int32_t)column_int4(result, row, REGISTRY_INPUT, (uint32_t)ALERT_NO_INT);
    struct dc09_address_holding *holding = &r->addresses[r->entry.n_addresses];
    holding->from_us = column_time(result, row, REGISTRY_SINCE, INT64_MIN);
    holding->until_us = column_time(result, row, REGISTRY_UNTIL, INT64_MAX);
    if (dc09_address_make(&holding->address, column_text(result, row, REGISTRY_NAME), input))
        r->entry.n_addresses++;
}

static void take_placement(struct registry_reader *r, const PGresult *result, int row)
{
    if (r->entry.n_placements == r->cap_placements) {
        r->cap_placements = r->cap_placements ? 2 * r->cap_placements : 8;
        r->placements = mem_realloc(r->placements, r->cap_placements, sizeof(*r->placements));
    }
    r->placements[r->entry.n_placements++] = (struct placement){
        .id = column_int8(result, row, REGISTRY_ID),
        .from_us = column_time(result, row, REGISTRY_SINCE, INT64_MIN),
        .until_us = column_time(result, row, REGISTRY_UNTIL, INT64_MAX),
        .lon = column_float8(result, row, REGISTRY_LON),
        .lat = column_float8(result, row, REGISTRY_LAT),
        .team = registry_word(r->registry, column_text(result, row, REGISTRY_NAME)),
        .secret = column_int4(result, row, REGISTRY_INPUT, 0) != 0,
    };
}

static void take_fix(struct registry_reader *r, const PGresult *result, int row)
{
    r->fix = (struct fix){
        .at_us = column_time(result, row, REGISTRY_SINCE, INT64_MIN),
        .lon = column_float8(result, row, REGISTRY_LON),
        .lat = column_float8(result, row, REGISTRY_LAT),
        .accuracy_m = column_real(result, row, REGISTRY_ACCURACY),
        .undated = true,
    };
}

/* Done at once: the device's other rows do not concern its fix, or say what remains of it. */
static void take_forget(struct registry_reader *r, const PGresult *result, int row)
{
    registry_forget_fix(r->registry, column_text(result, row, REGISTRY_DEVICE),
                        column_time(result, row, REGISTRY_SINCE, INT64_MIN),
                        column_time(result, row, REGISTRY_UNTIL, INT64_MAX));
}

/* Whether the fix was undated is not stored: it may have been. */
static void put_fix(struct registry_reader *r)
{
    if (r->fix.at_us == INT64_MIN)
        return;
    registry_put_fix(r->registry, r->entry.id, &r->fix);
    registry_settle_fix(r->registry, r->entry.id, &r->fix, true);
}

/* All rows of a device have arrived. */
static void put_device(struct registry_reader *r)
{
    if (r->entry.id.len == 0)
        return;
    r->entry.placements = r->placements;
    r->entry.addresses = r->addresses;
    registry_put(r->registry, &r->entry);
    put_fix(r);
}

static void begin_device(struct registry_reader *r, struct str id)
{
    if (id.len > sizeof(r->id))
        id.len = sizeof(r->id); /* the table's own check has this limit */
    memcpy(r->id, id.p, id.len);
    r->entry = (struct registry_entry){.id = {r->id, id.len}};
    r->fix = (struct fix){.at_us = INT64_MIN};
}

static void take_row(struct registry_reader *r, const PGresult *result, int row)
{
    static const struct {
        const char *what;
        void (*take)(struct registry_reader *r, const PGresult *result, int row);
    } kinds[] = {{"head", take_head}, {"device", take_device},       {"gone", take_gone},    {"address", take_address},
                 {"fix", take_fix},   {"placement", take_placement}, {"forget", take_forget}};
    struct str what = column_text(result, row, REGISTRY_WHAT), id = column_text(result, row, REGISTRY_DEVICE);
    if (!str_eq(id, r->entry.id)) {
        put_device(r);
        begin_device(r, id);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_is(what, kinds[i].what))
            kinds[i].take(r, result, row);
}

void registry_reader_take(struct registry_reader *r, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++)
        take_row(r, result, row);
}

void registry_reader_end(struct registry_reader *r)
{
    put_device(r);
    if (r->everything)
        registry_load_end(r->registry);
    r->registry->version = r->version;
}

void area_rows_take(struct area_rows *rows, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        rows->version = column_int8(result, row, AREA_VERSION);
        if (PQgetisnull(result, row, AREA_LAYER))
            continue; /* there are no areas: the row has only the version */
        struct area_row area = {
            .vintage = (int32_t)column_int4(result, row, AREA_VINTAGE, (uint32_t)INT32_MIN),
            .from_us = column_time(result, row, AREA_SINCE, INT64_MIN),
            .until_us = column_time(result, row, AREA_UNTIL, INT64_MAX),
        };
        area_rows_add(rows, area, column_text(result, row, AREA_LAYER), column_text(result, row, AREA_CODE),
                      column_text(result, row, AREA_POLYGON));
    }
}

/* A binary result, or NULL with err set. PQclear() it. */
static PGresult *ask(PGconn *conn, const char *sql, int n, struct err *err)
{
    static const uint64_t nothing; /* the version that a new registry has */
    const Oid types[] = {TYPE_INT8};
    const char *values[] = {(const char *)&nothing};
    PGresult *result = PQexecParams(conn, sql, n, types, values, (const int[]){sizeof(nothing)}, (const int[]){1}, 1);
    struct fault fault;
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return result;
    fault_read(&fault, result);
    PQclear(result);
    err_set(err, "the registry cannot be read: %s", fault.text);
    return NULL;
}

int registry_read(PGconn *conn, struct registry *registry, struct area_rows *areas, struct err *err)
{
    PGresult *devices = ask(conn, REGISTRY_ROWS_SQL, 1, err);
    PGresult *polygons = devices ? ask(conn, AREA_ROWS_SQL, 0, err) : NULL;
    int rc = polygons ? 0 : -1;
    if (rc == 0) {
        struct registry_reader *reader = registry_reader_new(registry);
        registry_reader_take(reader, devices);
        registry_reader_end(reader);
        registry_reader_free(&reader);
        area_rows_take(areas, polygons);
    }
    PQclear(devices);
    PQclear(polygons);
    return rc;
}
