/* The reader of JSON: which events a text gives, what is refused, and where. */
#include <criterion/criterion.h>
#include <string.h>

#include "ingest/json_read.h"
#include "model/alert.h"

static struct json_reader *reader;
static struct buf events;

static void setup(void)
{
    reader = json_reader_new(&(struct json_limits){
        .bytes = ALERT_PAYLOAD_MAX, .at_once = ALERT_PAYLOAD_MAX, .levels = 4, .unique_names = true});
}

static void teardown(void)
{
    json_reader_free(&reader);
    buf_free(&events);
}

TestSuite(json_read, .init = setup, .fini = teardown);

static void on_name(void *ctx, struct str name)
{
    buf_printf(ctx, "%.*s=", (int)name.len, name.p);
}

static void on_value(void *ctx, const struct json_value *value)
{
    switch (value->type) {
    case JSON_NULL:
        buf_printf(ctx, "null ");
        break;
    case JSON_BOOLEAN:
        buf_printf(ctx, "%s ", value->boolean ? "true" : "false");
        break;
    case JSON_NUMBER:
        buf_printf(ctx, "%.17g(%.*s) ", value->number, (int)value->string.len, value->string.p);
        break;
    case JSON_STRING:
        buf_printf(ctx, "'%.*s' ", (int)value->string.len, value->string.p);
        break;
    case JSON_OBJECT:
        buf_printf(ctx, "{ ");
        break;
    case JSON_ARRAY:
        buf_printf(ctx, "[ ");
        break;
    }
}

static void on_close(void *ctx)
{
    buf_printf(ctx, ") ");
}

static const char *read_text(struct str text, size_t *ret_offset)
{
    static const struct json_calls calls = {on_name, on_value, on_close};
    events.len = 0;
    return json_read(reader, text, &calls, &events, ret_offset);
}

static void expect_events(const char *text, const char *wanted)
{
    size_t offset;
    const char *fault = read_text(str_from(text), &offset);
    cr_expect_null(fault, "%s: %s near %zu", text, fault, offset);
    cr_expect(str_is(buf_str(&events), wanted), "%s: %.*s", text, (int)events.len, events.data);
}

Test(json_read, every_value_is_an_event_and_numbers_keep_their_text)
{
    expect_events("{}", "");
    expect_events(" \t\r\n{ \n} ", "");
    expect_events("{\"a\":null,\"b\":true,\"c\":false}", "a=null b=true c=false ");
    expect_events("{ \"a\" : 1.50 , \"b\" : -0e+1 }", "a=1.5(1.50) b=-0(-0e+1) ");
    expect_events("{\"a\":\"x\",\"\":\"\"}", "a='x' ='' ");
    expect_events("{\"a\":[1,[],{}],\"b\":{\"c\":[\"d\"]}}", "a=[ 1(1) [ ) { ) ) b={ c=[ 'd' ) ) ");
}

Test(json_read, strings_and_names_come_without_their_escapes)
{
    expect_events("{\"\\u0061\\n\":\"\\\"\\\\\\/\\u00e9\\ud83d\\ude00\",\"b\":\"plain\"}",
                  "a\n='\"\\/\u00e9\U0001F600' b='plain' ");
}

static void ignore_name(void *ctx, struct str name)
{
    (void)ctx, (void)name;
}

static void keep_string(void *ctx, const struct json_value *value)
{
    *(struct str *)ctx = value->string;
}

Test(json_read, a_string_without_escapes_is_a_slice_of_the_text)
{
    static const char text[] = "{\"n\":\"here\"}";
    static const struct json_calls calls = {ignore_name, keep_string, on_close};
    struct str string = {0};
    size_t offset;
    cr_assert_null(json_read(reader, STR(text), &calls, &string, &offset));
    cr_expect_eq(string.p, text + 6);
    cr_expect_eq(string.len, 4);
}

static void expect_refused(const char *text, const char *why, const char *wanted)
{
    size_t offset;
    const char *fault = read_text(str_from(text), &offset);
    cr_assert_not_null(fault, "%s: accepted", text);
    cr_expect_str_eq(fault, why, "%s: %s", text, fault);
    cr_expect(offset <= strlen(text), "%s: near %zu", text, offset);
    cr_expect(str_is(buf_str(&events), wanted), "%s: %.*s", text, (int)events.len, events.data);
}

Test(json_read, what_is_not_json_is_refused_and_what_comes_before_is_told)
{
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{\"a\":1}}",
        "{\"a\":1}{}",
        "{\"a\":1} x",
        "{\"a\":1}\"",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":[1}]",
        "{\"a\":[1]",
        "{\"a\":{\"b\":1}",
        "{\"a\":[,1]}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":nul}",
        "{\"a\":nulll}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"b}",
        "{\"a\":\"b\"\"c\"}",
        "{\"a\":\"b\":1}",
        "{\"a\":\"b\nc\"}",
        "{\"a\":/**/1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":\\\"b\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t offset;
        cr_expect_not_null(read_text(str_from(texts[i]), &offset), "%s", texts[i]);
        cr_expect(offset <= strlen(texts[i]), "%s: near %zu", texts[i], offset);
    }
    expect_refused("{\"id\":\"x\",\"a\":[1,{\"b\":2", "not JSON", "id='x' a=[ 1(1) { b=");
    expect_refused("{\"id\":\"x\",\"a\":\"unclosed", "not JSON", "id='x' a=");
    expect_refused("{\"id\":\"x\",\"a\":\"unclosed\\", "not JSON", "id='x' a=");
    expect_refused("{\"id\":\"x\",\"a\":\"b\nc\"}", "not JSON", "id='x' a=");
    expect_refused("{\"id\":\"x\",\"a\":1}}", "not JSON", "id='x' a=1(1) ");
    expect_refused("{\"id\":\"x\",\"a\":\"\xE9\"}}", "not UTF-8", "id='x' a=");
    expect_refused("{\"id\":\"x\",\"a\":\"\\ud800\"}", "a lone surrogate is not allowed", "id='x' a=");
}

Test(json_read, a_token_that_the_end_cuts_off_is_not_told)
{
    expect_refused("{\"id\":\"x", "not JSON", "id=");
    expect_refused("{\"a\":12", "not JSON", "a=");
    expect_refused("{\"a\":12\x80", "not UTF-8", "a=");
    expect_refused("{\"a\":tru", "not JSON", "a=");
}

Test(json_read, what_is_no_object_is_refused)
{
    static const char *const texts[] = {"[]", "[1,2]", "[{}", "\"a\"", "1", "-1", "true", "false", "null", " [ "};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_refused(texts[i], "not an object", "");
}

Test(json_read, levels_and_names_are_limited)
{
    expect_events("{\"a\":[[{}]]}", "a=[ [ { ) ) ) ");
    expect_refused("{\"a\":[[[[]]]]}", "nested too deeply (expected at most 4 levels)", "a=[ [ [ ");
    expect_refused("{\"a\":1,\"b\":{\"a\":1},\"\\u0061\":2}", "duplicate member name", "a=1(1) b={ a=1(1) ) ");
    json_reader_free(&reader);
    reader = json_reader_new(&(struct json_limits){.bytes = 1 << 20, .at_once = 16, .levels = 4});
    expect_events("{\"a\":1,\"a\":2}", "a=1(1) a=2(2) ");
}

Test(json_read, a_text_longer_than_what_was_allocated_at_once_is_read)
{
    enum { COUNT = 5000 };
    struct buf text = {0};
    json_reader_free(&reader);
    reader = json_reader_new(&(struct json_limits){.bytes = 1 << 20, .at_once = 16, .levels = 4});
    buf_printf(&text, "{\"a\":[");
    for (int i = 0; i < COUNT; i++)
        buf_printf(&text, "%s\"\\u0062\"", i ? "," : "");
    buf_printf(&text, "]}");
    size_t offset;
    cr_expect_null(read_text(buf_str(&text), &offset));
    cr_expect_eq(events.len, strlen("a=[ ") + COUNT * strlen("'b' ") + strlen(") "));
    buf_free(&text);
}
