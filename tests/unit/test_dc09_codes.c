/* The whole table of codes against tests/dc09/codes.tsv: what is in it, and that nothing else is. */
#include "dc09_frames.h"

enum { CODES_MAX = 100 };

struct known {
    char codes[CODES_MAX][4];
    size_t n;
};

static bool is_known(const struct known *known, const char *code)
{
    for (size_t i = 0; i < known->n; i++)
        if (strcmp(known->codes[i], code) == 0)
            return true;
    return false;
}

static void check_sia(const char *word, enum alert_kind kind, bool restores)
{
    struct dc09_meaning meaning = dc09_code_sia((struct str){word, 2});
    bool verified = word[2] == '!', cancels = word[2] == '~';
    cr_expect_eq(meaning.kind, kind, "%s", word);
    cr_expect_eq(meaning.phase, restores ? PHASE_RESTORE : cancels ? PHASE_UPDATE : PHASE_RAISE, "%s", word);
    cr_expect_eq(meaning.flags, (verified ? FLAG_VERIFIED : 0u) | (cancels ? FLAG_CANCEL : 0u), "%s", word);
}

static void check_cid(const char *word, enum alert_kind kind)
{
    struct str event = {word, 3};
    bool restores = word[3] != '=';
    cr_expect_eq(dc09_code_cid('1', event).kind, kind, "%s", word);
    cr_expect_eq(dc09_code_cid('1', event).phase, PHASE_RAISE, "%s", word);
    cr_expect_eq(dc09_code_cid('3', event).kind, kind, "%s", word);
    cr_expect_eq(dc09_code_cid('3', event).phase, restores ? PHASE_RESTORE : PHASE_RAISE, "%s", word);
    cr_expect_eq(dc09_code_cid('6', event).kind, kind, "%s", word);
    cr_expect_eq(dc09_code_cid('6', event).phase, PHASE_UPDATE, "%s", word);
    cr_expect_eq(dc09_code_cid('2', event).kind, KIND_UNKNOWN, "%s", word);
    cr_expect_eq(dc09_code_cid('1', event).flags, 0u, "%s", word);
}

static void read_line(char *line, struct known *known)
{
    char *words = NULL, *columns = NULL;
    enum alert_kind kind = alert_kind_from(str_from(strtok_r(line, "\t\n", &columns)));
    cr_assert_neq(kind, KIND_UNKNOWN);
    for (int column = 0; column < 3; column++) {
        char *cell = strtok_r(NULL, "\t\n", &columns);
        cr_assert_not_null(cell);
        for (char *word = strtok_r(cell, " ", &words); word; word = strtok_r(NULL, " ", &words)) {
            if (strcmp(word, "-") == 0)
                continue;
            if (column < 2)
                check_sia(word, kind, column == 1);
            else
                check_cid(word, kind);
            snprintf(known->codes[known->n++], 4, "%.*s", column < 2 ? 2 : 3, word);
        }
    }
}

static void load_known(struct known *known)
{
    FILE *file = fopen(MOBEYE_SOURCE "/tests/dc09/codes.tsv", "r");
    cr_assert_not_null(file);
    char line[256];
    while (fgets(line, sizeof(line), file))
        if (line[0] != '#')
            read_line(line, known);
    fclose(file);
}

Test(dc09_codes, every_code_means_what_the_table_says_and_no_other_means_anything)
{
    struct known known = {0};
    load_known(&known);
    cr_assert_eq(known.n, (size_t)67);
    char code[5];
    for (char a = 'A'; a <= 'Z'; a++) {
        for (char b = 'A'; b <= 'Z'; b++) {
            snprintf(code, sizeof(code), "%c%c", a, b);
            cr_expect_eq(dc09_code_sia(str_from(code)).kind != KIND_UNKNOWN, is_known(&known, code), "%s", code);
        }
    }
    for (unsigned event = 0; event < 0x1000; event++) {
        snprintf(code, sizeof(code), "%03X", event);
        cr_expect_eq(dc09_code_cid('1', str_from(code)).kind != KIND_UNKNOWN, is_known(&known, code), "%s", code);
    }
}

Test(dc09_codes, what_is_not_known_is_unknown_and_keeps_its_phase)
{
    cr_expect_eq(dc09_code_sia(STR("ZZ")).phase, PHASE_RAISE);
    cr_expect_eq(dc09_code_cid('1', STR("999")).phase, PHASE_RAISE);
    cr_expect_eq(dc09_code_cid('3', STR("999")).phase, PHASE_RESTORE);
    cr_expect_eq(dc09_code_cid('6', STR("999")).phase, PHASE_UPDATE);
    cr_expect_eq(dc09_code_cid('6', STR("130")).phase, PHASE_UPDATE);
    cr_expect_eq(dc09_code_cid('6', STR("602")).phase, PHASE_UPDATE);
    cr_expect_eq(dc09_code_cid('2', STR("130")).kind, KIND_UNKNOWN, "no such qualifier");
    cr_expect_eq(dc09_code_sia(STR("13")).kind, KIND_UNKNOWN, "the beginning of a code");
    cr_expect_eq(dc09_code_sia(STR("130")).kind, KIND_UNKNOWN, "Contact-ID under SIA");
    cr_expect_eq(dc09_code_cid('1', STR("BA")).kind, KIND_UNKNOWN, "SIA under Contact-ID");
    cr_expect_eq(dc09_code_sia(STR("")).kind, KIND_UNKNOWN);
    cr_expect_eq(dc09_code_sia(STR("ba")).kind, KIND_UNKNOWN);
}
