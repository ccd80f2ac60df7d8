#include "ctl/registry/measure_csv.h"

#include <string.h>

#include "base/array.h"
#include "base/nearest.h"

enum { KIND, LAYER, CODE, FROM, UNTIL, NUMBER, NOTE, COLUMNS };

static const char *const names[COLUMNS] = {"kind", "layer", "code", "from", "until", "number", "note"};

static const char *kind_word(const void *ctx, size_t i)
{
    static const char *const words[] = {"letter", "tent", "patrol", "other"};
    (void)ctx;
    return i < ARRAY_LEN(words) ? words[i] : NULL;
}

static int cell_kind_of_measure(struct str text, double min, double max, struct buf *out, struct buf *assumed,
                                struct err *err)
{
    char word[32] = "";
    (void)min, (void)max, (void)assumed;
    for (size_t i = 0; kind_word(NULL, i); i++)
        if (str_is(text, kind_word(NULL, i))) {
            buf_append_str(out, text);
            return 0;
        }
    if (text.len < sizeof(word))
        memcpy(word, text.p, text.len);
    return err_set(err, "\"%.*s\" is not a kind of measure%s (expected letter, tent, patrol or other)", (int)text.len,
                   text.p, nearest_hint(word, kind_word, NULL).text);
}

static const struct cell_kind kinds[COLUMNS] = {
    [KIND] = {cell_kind_of_measure, 0, 0},
    [LAYER] = {cell_text, 0, 0},
    [CODE] = {cell_text, 0, 0},
    [FROM] = {cell_utc, 0, 0},
    [UNTIL] = {cell_utc, 0, 0},
    [NUMBER] = {cell_integer, 0, 999999999},
    [NOTE] = {cell_text, 0, 0},
};

const struct row_format measure_format = {
    .columns = {names, COLUMNS, UINT32_C(1) << KIND | UINT32_C(1) << LAYER | UINT32_C(1) << CODE | UINT32_C(1) << FROM},
    .kinds = kinds,
    .from = FROM,
    .until = UNTIL,
    .same_time = true};
