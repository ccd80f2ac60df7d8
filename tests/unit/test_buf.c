/* Slices and buffers. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"

Test(buf, slices_are_compared_by_their_bytes)
{
    cr_expect(str_eq(STR("abc"), STR("abc")));
    cr_expect(!str_eq(STR("abc"), STR("abd")));
    cr_expect(!str_eq(STR("abc"), STR("ab")));
    cr_expect(str_eq((struct str){NULL, 0}, STR("")));
    cr_expect(!str_eq(STR("a\0b"), STR("a\0c")));
    cr_expect(str_is(STR("abc"), "abc"));
    cr_expect(!str_is(STR("abc\0"), "abc"));
    cr_expect_eq(str_from(NULL).len, 0);
    cr_expect(str_eq(str_from("abc"), STR("abc")));
}

Test(buf, a_buffer_grows_and_keeps_its_bytes)
{
    struct buf buf = {0};
    for (int i = 0; i < 10000; i++) {
        char byte = (char)(i * 7);
        buf_append(&buf, &byte, 1);
        cr_assert(buf.len <= buf.cap);
    }
    cr_expect_eq(buf.len, 10000);
    for (int i = 0; i < 10000; i++)
        cr_assert_eq(buf.data[i], (char)(i * 7));
    buf_free(&buf);
    cr_expect(!buf.data && buf.len == 0 && buf.cap == 0);
    buf_free(&buf);
}

Test(buf, reserving_leaves_the_length)
{
    struct buf buf = {0};
    buf_append_str(&buf, STR("abc"));
    char *room = buf_reserve(&buf, 100000);
    cr_expect_eq(buf.len, 3);
    cr_expect(buf.cap - buf.len >= 100000);
    cr_expect_eq(room, buf.data + 3);
    memset(room, 'x', 100000);
    cr_expect_eq(memcmp(buf.data, "abc", 3), 0);
    buf_free(&buf);
}

Test(buf, nothing_can_be_appended)
{
    struct buf buf = {0};
    buf_append(&buf, NULL, 0);
    buf_append_str(&buf, (struct str){NULL, 0});
    buf_printf(&buf, "%s", "");
    cr_expect_eq(buf.len, 0);
    buf_free(&buf);
}

Test(buf, text_is_formatted_after_what_is_there)
{
    struct buf buf = {0};
    buf_printf(&buf, "%d-", 42);
    buf_printf(&buf, "%0500d", 7);
    cr_expect_eq(buf.len, 503);
    cr_expect_eq(memcmp(buf.data, "42-000", 6), 0);
    cr_expect_eq(buf_str(&buf).p[502], '7');
    buf_free(&buf);
}

Test(buf, formatted_text_is_terminated)
{
    struct buf buf = {0};
    buf_printf(&buf, "%s", "");
    cr_assert_not_null(buf.data);
    cr_expect_str_eq(buf.data, "");
    for (size_t i = 0; i < 1000; i++) {
        buf_append(&buf, "xxx", 3);
        buf_printf(&buf, i % 2 ? "%.*s" : "", 1, "y");
        cr_assert_eq(strlen(buf.data), buf.len);
        cr_assert_lt(buf.len, buf.cap);
    }
    buf_free(&buf);
}

Test(buf, integers_are_big_endian)
{
    struct buf buf = {0};
    buf_be16(&buf, 0x0102);
    buf_be32(&buf, 0x03040506);
    buf_be64(&buf, UINT64_C(0x0708090A0B0C0D0E));
    cr_expect_eq(buf.len, 14);
    for (int i = 0; i < 14; i++)
        cr_expect_eq(buf.data[i], i + 1);
    buf_free(&buf);
}
