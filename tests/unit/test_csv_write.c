/* Rows as CSV. */
#include <criterion/criterion.h>

#include "ctl/lib/csv_write.h"

static PGresult *row_of(const char *const *values, int n)
{
    static char names[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    PGresAttDesc columns[8] = {0};
    for (int i = 0; i < n; i++)
        columns[i].name = names[i];
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PQsetResultAttrs(rows, n, columns);
    for (int i = 0; i < n; i++)
        PQsetvalue(rows, 0, i, (char *)values[i], (int)strlen(values[i]));
    return rows;
}

static void expect(bool excel, const char *line)
{
    const char *const values[] = {"=1+1", "+31 6", "-2.5", "-2.5+cmd", "@sum", "A=1", "=\"x\"", ""};
    struct buf out = {0};
    PGresult *rows = row_of(values, 8);
    csv_write(rows, ';', excel, &out);
    buf_append(&out, "", 1);
    cr_assert_str_eq(out.data, line);
    PQclear(rows);
    buf_free(&out);
}

Test(csv_write, for_excel_no_text_is_a_formula)
{
    expect(true, "a;b;c;d;e;f;g;h\n'=1+1;'+31 6;-2.5;'-2.5+cmd;'@sum;A=1;\"'=\"\"x\"\"\";\n");
}

Test(csv_write, otherwise_cells_are_what_an_import_reads)
{
    expect(false, "a;b;c;d;e;f;g;h\n=1+1;+31 6;-2.5;-2.5+cmd;@sum;A=1;\"=\"\"x\"\"\";\n");
}
