#include "ctl/registry/device_csv.h"

#include "base/array.h"
#include "ctl/registry/row_read.h"
#include "model/alert.h"

static const struct cell_kind kinds[DEVICE_COLUMNS] = {
    [DEVICE_ID] = {cell_device, 0, 0},
    [DEVICE_MODEL] = {cell_text, 0, 0},
    [DEVICE_GROUP] = {cell_text, 0, 0},
    [DEVICE_ACCOUNT] = {cell_account, 0, 0},
    [DEVICE_INPUT] = {cell_integer, 0, ALERT_INPUT_MAX},
    [DEVICE_HEARTBEAT] = {cell_duration, 1, 1e18},
    [DEVICE_GRACE] = {cell_duration, 0, 1e18},
    [DEVICE_PLACED_FROM] = {cell_utc, 0, 0},
    [DEVICE_PLACED_UNTIL] = {cell_utc, 0, 0},
    [DEVICE_ADDRESS] = {cell_text, 0, 0},
    [DEVICE_LON] = CELL_LON,
    [DEVICE_LAT] = CELL_LAT,
    [DEVICE_RD_X] = CELL_RD_X,
    [DEVICE_RD_Y] = CELL_RD_Y,
    [DEVICE_TEAM] = {cell_text, 0, 0},
    [DEVICE_SECRET] = {cell_boolean, 0, 0},
    [DEVICE_INSTRUCTIONS] = {cell_text, 0, 0},
};

static const char *const names[DEVICE_COLUMNS] = {
    [DEVICE_ID] = "device_id",
    [DEVICE_MODEL] = "model",
    [DEVICE_GROUP] = "group",
    [DEVICE_ACCOUNT] = "account",
    [DEVICE_INPUT] = "input",
    [DEVICE_HEARTBEAT] = "heartbeat",
    [DEVICE_GRACE] = "grace",
    [DEVICE_PLACED_FROM] = "placed_from",
    [DEVICE_PLACED_UNTIL] = "placed_until",
    [DEVICE_ADDRESS] = "address",
    [DEVICE_LON] = "lon",
    [DEVICE_LAT] = "lat",
    [DEVICE_RD_X] = "rd_x",
    [DEVICE_RD_Y] = "rd_y",
    [DEVICE_TEAM] = "team",
    [DEVICE_SECRET] = "secret",
    [DEVICE_INSTRUCTIONS] = "instructions",
};

static const struct cell_partner partners[] = {
    {DEVICE_INPUT, DEVICE_ACCOUNT, true, "an input belongs to an account"},
    CELL_PARTNERS_OF_PLACE(DEVICE_LON, DEVICE_LAT, DEVICE_RD_X, DEVICE_RD_Y),
};

static const struct row_format format = {.columns = {names, DEVICE_COLUMNS, UINT32_C(1) << DEVICE_ID},
                                         .kinds = kinds,
                                         .partners = partners,
                                         .n_partners = ARRAY_LEN(partners),
                                         .from = DEVICE_PLACED_FROM,
                                         .until = DEVICE_PLACED_UNTIL};

const struct csv_columns device_columns = {names, DEVICE_COLUMNS, UINT32_C(1) << DEVICE_ID};

/* Cells that have no meaning without a place; if `secret` were ignored, a home meant to be secret would not be. */
static const struct {
    enum device_column cell;
    bool warning;
} of_a_place[] = {
    {DEVICE_PLACED_FROM, false}, {DEVICE_PLACED_UNTIL, false}, {DEVICE_ADDRESS, true},
    {DEVICE_TEAM, true},         {DEVICE_SECRET, false},       {DEVICE_INSTRUCTIONS, true},
};

#define N_OF_A_PLACE ARRAY_LEN(of_a_place)

static bool check_place(uint64_t line, const struct str *cells, const struct str *values,
                        struct line_diagnostics *line_diagnostics)
{
    bool good = true;
    if (cells[DEVICE_LON].len || cells[DEVICE_LAT].len || cells[DEVICE_RD_X].len || cells[DEVICE_RD_Y].len)
        return true;
    for (size_t i = 0; i < N_OF_A_PLACE; i++) {
        struct str value = values[of_a_place[i].cell];
        if (value.len == 0 || (of_a_place[i].cell == DEVICE_SECRET && str_is(value, "f")))
            continue;
        line_diagnostics_add(line_diagnostics, line, of_a_place[i].warning,
                             "%s: has no meaning without a place (expected lon and lat, or rd_x and rd_y)",
                             names[of_a_place[i].cell]);
        good &= of_a_place[i].warning;
    }
    return good;
}

bool device_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics, struct buf *text,
                struct str ret_values[DEVICE_COLUMNS])
{
    bool good = row_read(&format, line, cells, line_diagnostics, text, ret_values);
    return check_place(line, cells, ret_values, line_diagnostics) && good;
}
