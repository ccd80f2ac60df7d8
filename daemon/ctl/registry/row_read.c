#include "ctl/registry/row_read.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/near_value.h"
#include "conf/value.h"
#include "ctl/lib/cell_read.h"
#include "ingest/validate.h"

enum { ACCOUNT_MIN = 1, ACCOUNT_MAX = 16, DURATION_MAX = 32 };

int cell_device(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max, (void)assumed;
    if (!validate_device(text))
        return err_set(err, "\"%.*s\" is not a device id (expected 1 to 64 of A-Z a-z 0-9 . _ : / -)", (int)text.len,
                       text.p);
    buf_append_str(out, text);
    return 0;
}

/* CR LF becomes LF. */
int cell_text(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max, (void)assumed, (void)err;
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] != '\r' || i + 1 == text.len || text.p[i + 1] != '\n')
            buf_append(out, text.p + i, 1);
    return 0;
}

int cell_account(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
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

int cell_in_range(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    double number;
    if (cell_number(text, &number, assumed, err) < 0)
        return -1;
    if (!(number >= min && number <= max))
        return err_set(err, "%.*s is out of range (expected %.0f to %.0f)", (int)text.len, text.p, min, max);
    buf_printf(out, "%.17g", number);
    return 0;
}

int cell_integer(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    if (text.len > 9 || !cell_has_only(text, "0123456789"))
        return err_set(err, "\"%.*s\" is not an integer (expected %.0f to %.0f)", (int)text.len, text.p, min, max);
    return cell_in_range(text, min, max, out, assumed, err);
}

int cell_duration(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)assumed;
    char copy[DURATION_MAX + 1] = "";
    int64_t us = -1;
    if (text.len <= DURATION_MAX)
        memcpy(copy, text.p, text.len);
    if (text.len > DURATION_MAX || value_duration(copy, &us, err) < 0 || (double)us < min || (double)us > max)
        return err_set(err, "\"%.*s\" is not a valid duration%s (expected %s500ms, 20s, 4h30m or 7d)", (int)text.len,
                       text.p, near_duration(copy).text, min > 0 ? "more than 0, such as " : "");
    buf_printf(out, "%lld microseconds", (long long)us);
    return 0;
}

int cell_utc(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max;
    int64_t us;
    char formatted[CLOCK_RFC3339_SIZE];
    if (cell_time(text, &us, assumed, err) < 0)
        return -1;
    buf_append_str(out, str_from(clock_format_rfc3339(us, 6, formatted)));
    return 0;
}

int cell_boolean(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err)
{
    (void)min, (void)max;
    bool yes;
    if (cell_yes_no(text, &yes, assumed, err) < 0)
        return -1;
    buf_append_str(out, yes ? STR("t") : STR("f"));
    return 0;
}

static bool read_cells(const struct row_format *format, uint64_t line, const struct str *cells,
                       struct line_diagnostics *line_diagnostics, struct buf *text, struct str *ret)
{
    const struct cell_kind *kinds = format->kinds;
    const char *const *names = format->columns.names;
    size_t ends[CSV_COLUMNS_MAX], from = 0;
    bool good = true;
    struct buf assumed = {0};
    text->len = 0;
    for (size_t i = 0; i < format->columns.n; i++) {
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
    for (size_t i = 0; i < format->columns.n; from = ends[i++])
        ret[i] = ends[i] > from ? (struct str){text->data + from, ends[i] - from} : STR("");
    return good;
}

static bool check_partners(const struct row_format *format, uint64_t line, const struct str *cells,
                           struct line_diagnostics *line_diagnostics)
{
    bool good = true;
    for (size_t i = 0; i < format->n_partners; i++) {
        const struct cell_partner *partner = &format->partners[i];
        if (cells[partner->cell].len == 0 || (cells[partner->other].len > 0) == partner->wanted)
            continue;
        line_diagnostics_add(line_diagnostics, line, false, "%s: with%s %s (%s)", format->columns.names[partner->cell],
                             partner->wanted ? "out" : "", format->columns.names[partner->other], partner->why);
        good = false;
    }
    return good;
}

static bool check_times(const struct row_format *format, uint64_t line, const struct str *values,
                        struct line_diagnostics *line_diagnostics)
{
    int64_t from, until;
    if (format->from == format->until)
        return true;
    if (!clock_parse_rfc3339(values[format->from], &from) || !clock_parse_rfc3339(values[format->until], &until) ||
        from < until + format->same_time)
        return true;
    line_diagnostics_add(line_diagnostics, line, false,
                         format->same_time ? "%s: must not be before %s" : "%s: must be after %s (the end is excluded)",
                         format->columns.names[format->until], format->columns.names[format->from]);
    return false;
}

bool row_read(const struct row_format *format, uint64_t line, const struct str *cells,
              struct line_diagnostics *line_diagnostics, struct buf *text, struct str *ret_values)
{
    bool good = read_cells(format, line, cells, line_diagnostics, text, ret_values);
    good &= check_partners(format, line, cells, line_diagnostics);
    good &= check_times(format, line, ret_values, line_diagnostics);
    return good;
}
