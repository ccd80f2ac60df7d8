#include "ctl/registry/device_csv.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/value.h"
#include "ctl/registry/cell_read.h"
#include "ingest/validate.h"

enum { ACCOUNT_MIN = 1, ACCOUNT_MAX = 16, DURATION_MAX = 32 };

/* Reads a cell that is not empty and appends it in a form that PostgreSQL accepts. 0, or -1 with err set. What had to
 * be assumed is appended to `assumed`. */
typedef int (*read_fn)(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);

static int read_id(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max, (void)assumed;
    if (!validate_device(text))
        return err_set(err, "\"%.*s\" is not a device id (expected 1 to 64 of A-Z a-z 0-9 . _ : / -)", (int)text.len,
                       text.p);
    buf_append_str(out, text);
    return 0;
}

/* CR LF becomes LF. */
static int read_text(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max, (void)assumed, (void)err;
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] != '\r' || i + 1 == text.len || text.p[i + 1] != '\n')
            buf_append(out, text.p + i, 1);
    return 0;
}

static int read_account(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max, (void)assumed;
    if (memchr(text.p, '+', text.len))
        return err_set(err, "\"%.*s\" was rounded by a spreadsheet (format the column as text, and enter it again)",
                       (int)text.len, text.p);
    if (text.len < ACCOUNT_MIN || text.len > ACCOUNT_MAX || !cell_has_only(text, "0123456789ABCDEFabcdef"))
        return err_set(err, "\"%.*s\" is not an account (expected 1 to 16 of 0-9 A-F)", (int)text.len, text.p);
    for (size_t i = 0; i < text.len; i++)
        buf_printf(out, "%c", toupper((unsigned char)text.p[i]));
    return 0;
}

static int read_number(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    double number;
    if (cell_number(text, &number, assumed, err) < 0)
        return -1;
    if (!(number >= min && number <= max))
        return err_set(err, "%.*s is out of range (expected %.0f to %.0f)", (int)text.len, text.p, min, max);
    buf_printf(out, "%.17g", number);
    return 0;
}

static int read_integer(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    if (text.len > 9 || !cell_has_only(text, "0123456789"))
        return err_set(err, "\"%.*s\" is not an integer (expected %.0f to %.0f)", (int)text.len, text.p, min, max);
    return read_number(text, min, max, out, assumed, err);
}

static int read_duration(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)assumed;
    char copy[DURATION_MAX + 1] = "";
    int64_t us = -1;
    if (text.len <= DURATION_MAX)
        memcpy(copy, text.p, text.len);
    if (text.len > DURATION_MAX || value_duration(copy, &us, err) < 0 || (double)us < min || (double)us > max)
        return err_set(err, "\"%.*s\" is not a valid duration (expected %s500ms, 20s, 4h30m or 7d)", (int)text.len,
                       text.p, min > 0 ? "more than 0, such as " : "");
    buf_printf(out, "%lld microseconds", (long long)us);
    return 0;
}

static int read_time(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max;
    int64_t us;
    char formatted[CLOCK_RFC3339_SIZE];
    if (cell_time(text, &us, assumed, err) < 0)
        return -1;
    buf_append_str(out, str_from(clock_format_rfc3339(us, 6, formatted)));
    return 0;
}

static int read_yes_no(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max;
    bool yes;
    if (cell_yes_no(text, &yes, assumed, err) < 0)
        return -1;
    buf_append_str(out, yes ? STR("t") : STR("f"));
    return 0;
}

/* The range of RD New is that of the Netherlands, with parts of the sea and the neighbouring countries. */
static const struct cell_kind {
    read_fn read;
    double min, max;
} kinds[DEVICE_COLUMNS] = {
    [DEVICE_ID] = {read_id, 0, 0},
    [DEVICE_MODEL] = {read_text, 0, 0},
    [DEVICE_GROUP] = {read_text, 0, 0},
    [DEVICE_ACCOUNT] = {read_account, 0, 0},
    [DEVICE_INPUT] = {read_integer, 0, ALERT_INPUT_MAX},
    [DEVICE_HEARTBEAT] = {read_duration, 1, 1e18},
    [DEVICE_GRACE] = {read_duration, 0, 1e18},
    [DEVICE_PLACED_FROM] = {read_time, 0, 0},
    [DEVICE_PLACED_UNTIL] = {read_time, 0, 0},
    [DEVICE_ADDRESS] = {read_text, 0, 0},
    [DEVICE_LON] = {read_number, -180, 180},
    [DEVICE_LAT] = {read_number, -90, 90},
    [DEVICE_RD_X] = {read_number, -10000, 310000},
    [DEVICE_RD_Y] = {read_number, 280000, 640000},
    [DEVICE_TEAM] = {read_text, 0, 0},
    [DEVICE_SECRET] = {read_yes_no, 0, 0},
    [DEVICE_INSTRUCTIONS] = {read_text, 0, 0},
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

const struct csv_columns device_columns = {names, DEVICE_COLUMNS, UINT32_C(1) << DEVICE_ID};

/* If `cell` is present, `other` must be (wanted) or must not be present. */
static const struct partner {
    enum device_column cell, other;
    bool wanted;
    const char *why;
} partners[] = {
    {DEVICE_INPUT, DEVICE_ACCOUNT, true, "an input belongs to an account"},
    {DEVICE_LON, DEVICE_LAT, true, "a place needs both"},
    {DEVICE_LAT, DEVICE_LON, true, "a place needs both"},
    {DEVICE_RD_X, DEVICE_RD_Y, true, "a place needs both"},
    {DEVICE_RD_Y, DEVICE_RD_X, true, "a place needs both"},
    {DEVICE_LON, DEVICE_RD_X, false, "a place is either in degrees or in RD New"},
};

/* Cells that have no meaning without a place. */
static const struct {
    enum device_column cell;
    bool warning;
} of_a_place[] = {
    {DEVICE_PLACED_FROM, false}, {DEVICE_PLACED_UNTIL, false}, {DEVICE_ADDRESS, true},
    {DEVICE_TEAM, true},         {DEVICE_INSTRUCTIONS, true},
};

#define N_PARTNERS   (sizeof(partners) / sizeof(partners[0]))
#define N_OF_A_PLACE (sizeof(of_a_place) / sizeof(of_a_place[0]))

static bool read_cells(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics,
                       struct buf *text, struct str *ret)
{
    size_t ends[DEVICE_COLUMNS], from = 0;
    bool good = true;
    struct buf assumed = {0};
    text->len = 0;
    for (int i = 0; i < DEVICE_COLUMNS; i++) {
        struct err err;
        assumed.len = 0;
        if (cells[i].len > 0 && kinds[i].read(cells[i], kinds[i].min, kinds[i].max, text, &assumed, &err) < 0) {
            line_diagnostics_add(line_diagnostics, line, false, "%s: %s", names[i], err.text);
            good = false;
        } else if (assumed.len > 0) {
            line_diagnostics_assume(line_diagnostics, line, names[i], "%s: %.*s", names[i], (int)assumed.len,
                                    assumed.data);
        }
        ends[i] = text->len;
    }
    buf_free(&assumed);
    for (int i = 0; i < DEVICE_COLUMNS; from = ends[i++])
        ret[i] = ends[i] > from ? (struct str){text->data + from, ends[i] - from} : STR("");
    return good;
}

static bool check_partners(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics)
{
    bool good = true;
    for (size_t i = 0; i < N_PARTNERS; i++) {
        const struct partner *partner = &partners[i];
        if (cells[partner->cell].len == 0 || (cells[partner->other].len > 0) == partner->wanted)
            continue;
        line_diagnostics_add(line_diagnostics, line, false, "%s: with%s %s (%s)", names[partner->cell],
                             partner->wanted ? "out" : "", names[partner->other], partner->why);
        good = false;
    }
    return good;
}

static bool check_place(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics)
{
    bool good = true;
    if (cells[DEVICE_LON].len || cells[DEVICE_LAT].len || cells[DEVICE_RD_X].len || cells[DEVICE_RD_Y].len)
        return true;
    for (size_t i = 0; i < N_OF_A_PLACE; i++) {
        if (cells[of_a_place[i].cell].len == 0)
            continue;
        line_diagnostics_add(line_diagnostics, line, of_a_place[i].warning,
                             "%s: has no meaning without a place (expected lon and lat, or rd_x and rd_y)",
                             names[of_a_place[i].cell]);
        good &= of_a_place[i].warning;
    }
    return good;
}

static bool check_times(uint64_t line, const struct str *values, struct line_diagnostics *line_diagnostics)
{
    int64_t from, until;
    if (!clock_parse_rfc3339(values[DEVICE_PLACED_FROM], &from) ||
        !clock_parse_rfc3339(values[DEVICE_PLACED_UNTIL], &until) || from < until)
        return true;
    line_diagnostics_add(line_diagnostics, line, false,
                         "placed_until: must be after placed_from (the end is excluded)");
    return false;
}

bool device_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics, struct buf *text,
                struct str ret_values[DEVICE_COLUMNS])
{
    bool good = read_cells(line, cells, line_diagnostics, text, ret_values);
    good &= check_partners(line, cells, line_diagnostics);
    good &= check_place(line, cells, line_diagnostics);
    good &= check_times(line, ret_values, line_diagnostics);
    return good;
}
