/* The migrations that are built into the programs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/migrations.h"
#include "store/writer.h"

Test(migrations, are_numbered_without_gaps_up_to_what_the_writer_writes)
{
    for (size_t i = 0; i < migrations_n; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%04zu_", i + 1);
        cr_assert_eq(migrations[i].version, (int)i + 1);
        cr_assert_eq(strncmp(migrations[i].name, number, 5), 0, "%s", migrations[i].name);
    }
    cr_assert_eq(migrations[migrations_n - 1].version, WRITER_SCHEMA_VERSION);
}

static void expect_file(const char *folder, const char *name, const char *sql)
{
    char path[512];
    snprintf(path, sizeof(path), MOBEYE_SOURCE "/sql/%s/%s.sql", folder, name);
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s", path);
    struct buf text = {0};
    size_t n;
    while ((n = fread(buf_reserve(&text, 65536), 1, 65536, file)) > 0)
        text.len += n;
    fclose(file);
    cr_expect(str_is(buf_str(&text), sql), "%s differs", path);
    buf_free(&text);
}

Test(migrations, are_the_files_of_sql_byte_for_byte)
{
    for (size_t i = 0; i < migrations_n; i++)
        expect_file("migrations", migrations[i].name, migrations[i].sql);
    for (size_t i = 0; i < schema_code_n; i++)
        expect_file("code", schema_code[i].file, schema_code[i].sql);
    expect_file("replace", "prepare", schema_code_prepare);
    expect_file("replace", "remove", schema_code_remove);
    expect_file("replace", "finish", schema_code_finish);
}
