#include "ctl/lib/csv_write.h"

#include <string.h>

/* A cell needs quotes if the reader would take part of it for something else; leading and trailing blanks it drops. */
static bool needs_quotes(const char *text)
{
    size_t len = strlen(text);
    return strpbrk(text, ",;\"\r\n\t") || (len > 0 && (text[0] == ' ' || text[len - 1] == ' '));
}

static void write_cell(const char *text, const char *before, struct buf *out)
{
    bool quotes = needs_quotes(text);
    buf_printf(out, "%s%s", before, quotes ? "\"" : "");
    for (; *text; text++)
        buf_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    buf_printf(out, quotes ? "\"" : "");
}

void csv_write(const PGresult *rows, char separator, struct buf *out)
{
    const char between[] = {separator, '\0'};
    for (int row = -1; row < PQntuples(rows); row++) {
        for (int column = 0; column < PQnfields(rows); column++)
            write_cell(row < 0 ? PQfname(rows, column) : PQgetvalue(rows, row, column), column == 0 ? "" : between,
                       out);
        buf_append(out, "\n", 1);
    }
}
