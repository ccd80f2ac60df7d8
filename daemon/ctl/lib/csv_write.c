#include "ctl/lib/csv_write.h"

#include <stdlib.h>
#include <string.h>

/* A cell needs quotes if a reader would misinterpret a part of it, or drop blanks at its ends. */
static bool needs_quotes(const char *text)
{
    size_t len = strlen(text);
    return strpbrk(text, ",;\"\r\n\t") || (len > 0 && (text[0] == ' ' || text[len - 1] == ' '));
}

/* Whether a spreadsheet would evaluate the text, which anybody may have written. A negative number is harmless. */
static bool is_formula(const char *text)
{
    char *end;
    if (!*text || !strchr("=+-@\t\r", *text))
        return false;
    strtod(text, &end);
    return end == text || *end;
}

static void write_cell(const char *text, const char *before, bool excel, struct buf *out)
{
    bool quotes = needs_quotes(text);
    buf_printf(out, "%s%s%s", before, quotes ? "\"" : "", excel && is_formula(text) ? "'" : "");
    for (; *text; text++)
        buf_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    buf_printf(out, quotes ? "\"" : "");
}

void csv_write(const PGresult *rows, char separator, bool excel, struct buf *out)
{
    const char between[] = {separator, '\0'};
    for (int row = -1; row < PQntuples(rows); row++) {
        for (int column = 0; column < PQnfields(rows); column++)
            write_cell(row < 0 ? PQfname(rows, column) : PQgetvalue(rows, row, column), column == 0 ? "" : between,
                       excel, out);
        buf_append(out, "\n", 1);
    }
}
