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

Test(migrations, are_the_files_of_sql_byte_for_byte)
{
    for (size_t i = 0; i < migrations_n; i++) {
        char path[512];
        snprintf(path, sizeof(path), MOBEYE_SOURCE "/sql/%s.sql", migrations[i].name);
        FILE *file = fopen(path, "rb");
        cr_assert(file, "%s", path);
        struct buf text = {0};
        size_t n;
        while ((n = fread(buf_reserve(&text, 65536), 1, 65536, file)) > 0)
            text.len += n;
        fclose(file);
        cr_assert(str_is(buf_str(&text), migrations[i].sql), "%s differs", path);
        buf_free(&text);
    }
}
