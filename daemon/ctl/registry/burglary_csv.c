#include "ctl/registry/burglary_csv.h"

#include "base/array.h"

enum { REFERENCE, FROM, UNTIL, ATTEMPT, METHOD, ADDRESS, LON, LAT, RD_X, RD_Y, COLUMNS };

static const char *const names[COLUMNS] = {
    "reference", "occurred_from", "occurred_until", "attempt", "method", "address", "lon", "lat", "rd_x", "rd_y"};

static const struct cell_kind kinds[COLUMNS] = {
    [REFERENCE] = {cell_text, 0, 0},
    [FROM] = {cell_utc, 0, 0},
    [UNTIL] = {cell_utc, 0, 0},
    [ATTEMPT] = {cell_boolean, 0, 0},
    [METHOD] = {cell_text, 0, 0},
    [ADDRESS] = {cell_text, 0, 0},
    [LON] = CELL_LON,
    [LAT] = CELL_LAT,
    [RD_X] = CELL_RD_X,
    [RD_Y] = CELL_RD_Y,
};

static const struct cell_partner partners[] = {CELL_PARTNERS_OF_PLACE(LON, LAT, RD_X, RD_Y)};

const struct row_format burglary_format = {.columns = {names, COLUMNS, UINT32_C(1) << REFERENCE},
                                           .kinds = kinds,
                                           .partners = partners,
                                           .n_partners = ARRAY_LEN(partners),
                                           .from = FROM,
                                           .until = UNTIL,
                                           .same_time = true};
