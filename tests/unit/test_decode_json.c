/* The parts of the strict JSON reader: numbers, names, raw text. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/json_names.h"
#include "ingest/json_text.h"

/* ---- numbers ---- */

static void expect_as_strtod(const char *token)
{
    double got = -7, wanted = strtod(token, NULL);
    const char *fault = json_number(str_from(token), &got);
    cr_expect_null(fault, "%s: %s", token, fault);
    cr_expect(memcmp(&got, &wanted, sizeof(got)) == 0, "%s: %.17g, not %.17g", token, got, wanted);
}

Test(decode_json, numbers_are_what_strtod_says_to_the_last_bit)
{
    static const char *const tokens[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "-1",
        "0.1",
        "0.3",
        "5.38421",
        "52.19634",
        "-91",
        "999999999999999",
        "0.99999999999999",
        "9999999999999.99",
        "123456789012345678",
        "0.1234567890123456789",
        "9007199254740993",
        "1e0",
        "1E5",
        "1e+5",
        "1e-5",
        "1.5e3",
        "1e308",
        "1.7976931348623157e308",
        "2.2250738585072014e-308",
        "5e-324",
        "1e-400",
        "-1e-400",
        "1e-16383",
        "0e1073741822",
        "1e000000000000000000000000000000001",
        "1e-000000000000000000000000000000001",
        "123456789012345678901234567890123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
        expect_as_strtod(tokens[i]);
}

Test(decode_json, random_decimals_are_what_strtod_says_to_the_last_bit)
{
    srandom(1);
    for (int i = 0; i < 200000; i++) {
        char token[64];
        int decimals = (int)(random() % 17);
        long long digits = random() * random() % 1000000000000000;
        snprintf(token, sizeof(token), "%s%lld.%0*ld", random() % 2 ? "-" : "", digits >> random() % 50, decimals + 1,
                 random() % 100000);
        expect_as_strtod(token);
    }
}

static void expect_refused(const char *token, const char *why)
{
    double got;
    const char *fault = json_number(str_from(token), &got);
    cr_assert_not_null(fault, "%s", token);
    cr_expect(strstr(fault, why), "%s: %s", token, fault);
}

Test(decode_json, numbers_that_postgresql_or_a_double_cannot_hold_are_refused)
{
    expect_refused("1e309", "IEEE double");
    expect_refused("-1.8e308", "IEEE double");
    expect_refused("1e999999999999999999999999", "IEEE double");
    expect_refused("0e1073741823", "IEEE double");
    expect_refused("1e-16384", "16383 decimal places");
    expect_refused("0.1e-16383", "16383 decimal places");
    expect_refused("0e-16384", "16383 decimal places");
    expect_refused("1e-999999999999999999999999", "16383 decimal places");
}

Test(decode_json, what_is_not_a_number_of_json_is_refused)
{
    static const char *const tokens[] = {
        "",
        "-",
        "+1",
        "--1",
        "01",
        "00",
        "-01",
        "1.",
        ".1",
        "-.1",
        "1..2",
        "1.2.3",
        "1e",
        "1E",
        "1e+",
        "1e-",
        "e1",
        "0x1",
        "1e1e",
        "1e.1",
        "1.e1",
        "1-2",
        "1 2",
        "Infinity",
        "NaN",
        "inf",
        "0n",
        "1a",
        "1,2",
        "-a",
        "1e5.",
        "01.5",
        "1_0",
        "0b1",
        "00000000001",
        "1.5f",
        "12345678901234567.",
        "01e5",
    };
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
        expect_refused(tokens[i], JSON_NOT_JSON);
}

/* ---- names ---- */

Test(decode_json, a_name_is_found_again_in_its_object_only)
{
    struct json_names *names = json_names_new();
    cr_expect(json_names_add(names, 0, STR("a")));
    cr_expect(json_names_add(names, 1, STR("a")));
    cr_expect(json_names_add(names, 0, STR("")));
    cr_expect(json_names_add(names, 0, STR("a\0")));
    cr_expect(!json_names_add(names, 0, STR("a")));
    cr_expect(!json_names_add(names, 1, STR("a")));
    cr_expect(!json_names_add(names, 0, STR("")));
    json_names_clear(names);
    cr_expect(json_names_add(names, 0, STR("a")));
    json_names_free(&names);
    cr_expect_null(names);
}

Test(decode_json, as_many_names_as_a_message_can_have_are_all_found_again)
{
    static char text[JSON_NAMES_MAX][8];
    struct json_names *names = json_names_new();
    for (uint32_t i = 0; i < JSON_NAMES_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "%u", i / 2);
        cr_assert(json_names_add(names, i % 2, str_from(text[i])));
    }
    for (uint32_t i = 0; i < JSON_NAMES_MAX; i++)
        cr_assert(!json_names_add(names, i % 2, str_from(text[i])));
    json_names_free(&names);
}

/* ---- raw text ---- */

static void expect_fault(struct str text, size_t offset, const char *why)
{
    size_t got = 0;
    const char *fault = json_text_fault(text, &got);
    cr_expect_eq(got, offset, "%.*s: at %zu", (int)text.len, text.p, got);
    cr_expect(why ? fault && strstr(fault, why) : !fault, "%.*s: %s", (int)text.len, text.p, fault ? fault : "none");
}

Test(decode_json, the_first_fault_of_a_text_is_found)
{
    expect_fault(STR(""), 0, NULL);
    expect_fault(STR("plain text of more than sixteen bytes\n\t\r"), 40, NULL);
    expect_fault(STR("\x7f"), 1, NULL);
    expect_fault(STR("12345678\0"), 8, "U+0000");
    expect_fault(STR("1234567\0 9"), 7, "U+0000");
    expect_fault(STR("\v"), 0, "control");
    expect_fault(STR("\x1f \xff"), 0, "control");
    expect_fault(STR("\xff \x1f"), 0, "UTF-8");
    expect_fault(STR("\\u0000 \xff"), 0, "U+0000");
    expect_fault(STR("\xff \\u0000"), 0, "UTF-8");
    expect_fault(STR("\xef\xbb\xbf{}"), 0, "byte order mark");
    expect_fault(STR(" \xef\xbb\xbf{}"), 6, NULL);
    expect_fault(STR("\\ud800\\udc00\\udc00"), 12, "surrogate");
    expect_fault(STR("\\ud800"), 0, "surrogate");
    expect_fault(STR("\\ud800\\udc0"), 0, "surrogate");
    expect_fault(STR("\\\\ud800 \\\\\\udc00"), 10, "surrogate");
    expect_fault(STR("\\\\u0000"), 7, NULL);
    expect_fault(STR("\\"), 1, NULL);
    expect_fault(STR("\\u"), 2, NULL);
    expect_fault(STR("\\u000"), 5, NULL);
    expect_fault(STR("\\u00g0"), 6, NULL);
}

/* Eight bytes are examined together: a fault in any of them, at any length, is found. */
Test(decode_json, a_fault_is_found_wherever_it_stands)
{
    for (size_t len = 1; len < 40; len++)
        for (size_t at = 0; at < len; at++) {
            char text[40];
            memset(text, 'x', sizeof(text));
            text[at] = '\x80';
            expect_fault((struct str){text, len}, at, "UTF-8");
            text[at] = '\x01';
            expect_fault((struct str){text, len}, at, "control");
            text[at] = '\0';
            expect_fault((struct str){text, len}, at, "U+0000");
        }
}
