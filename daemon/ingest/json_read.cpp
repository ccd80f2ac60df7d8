/*
 * simdjson's On-Demand interface validates a value when it is visited and hardly checks what is skipped, so every value
 * is visited here. It needs readable bytes after the text, so the text is copied; the slices that callers receive point
 * into the original text.
 */
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <utility>

extern "C" {
#include "base/mem.h"
#include "ingest/json_names.h"
#include "ingest/json_read.h"
#include "ingest/json_text.h"
}

namespace ondemand = simdjson::ondemand;

static const char *const not_json = JSON_NOT_JSON;

/* Bytes after the text that read_front() may write and simdjson may read. */
enum { PADDING_BYTES = 3 + simdjson::SIMDJSON_PADDING };

struct json_reader {
    struct json_limits limits;
    ondemand::parser parser;
    char *copy; /* of `text`, with PADDING_BYTES */
    size_t copy_bytes;
    struct json_names *names; /* NULL: duplicate names are allowed */
    char levels_fault[64];

    /* The text being read. */
    struct str text;
    size_t end; /* a value that ends after it is incomplete */
    bool has_escapes;
    const struct json_calls *calls;
    void *ctx;
    unsigned depth;
    uint32_t objects; /* seen so far */
    size_t last;      /* where the last value or name that was read begins */
    const char *fault;
    size_t fault_offset;
};

/* ---- tokens ---- */

static bool is_white_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t offset_of(const struct json_reader *reader, const char *p)
{
    return (size_t)(p - reader->copy);
}

/* The token in the text: simdjson's extends to the beginning of the next one. */
static struct str token_of(const struct json_reader *reader, std::string_view raw)
{
    size_t len = raw.size();
    while (len > 0 && is_white_space(raw[len - 1]))
        len--;
    return {reader->text.p + offset_of(reader, raw.data()), len};
}

static bool set_fault(struct json_reader *reader, const char *fault, size_t offset)
{
    reader->fault = fault;
    reader->fault_offset = offset < reader->text.len ? offset : reader->text.len;
    return false;
}

static bool set_fault_at(struct json_reader *reader, const char *fault, struct str token)
{
    return set_fault(reader, fault, (size_t)(token.p - reader->text.p));
}

/* ---- values ---- */

static void report_value(struct json_reader *reader, const struct json_value &value)
{
    reader->calls->on_value(reader->ctx, &value);
}

/* The text between the quotes of a token. `unescape` returns it with escapes resolved by simdjson. */
template <typename Unescape>
static bool read_string(struct json_reader *reader, struct str token, Unescape unescape, struct str *ret)
{
    if (token.len < 2 || token.p[token.len - 1] != '"')
        return set_fault_at(reader, not_json, token);
    *ret = {token.p + 1, token.len - 2};
    if (!reader->has_escapes || !memchr(ret->p, '\\', ret->len))
        return true;
    std::string_view plain;
    if (unescape().get(plain))
        return set_fault_at(reader, not_json, token);
    *ret = {plain.data(), plain.size()};
    return true;
}

static bool read_text(struct json_reader *reader, ondemand::value &value, struct str token)
{
    struct json_value v = {JSON_STRING, false, 0, {NULL, 0}};
    ondemand::raw_json_string raw;
    /* simdjson expects each token to be consumed: get_string() does so, otherwise get_raw_json_string() must. */
    if (!read_string(
            reader, token, [&] { return value.get_string(); }, &v.string))
        return false;
    bool consumed = v.string.p != token.p + 1;
    if (!consumed && value.get_raw_json_string().get(raw))
        return set_fault_at(reader, not_json, token);
    report_value(reader, v);
    return true;
}

/* Not by simdjson, which refuses some valid numbers (1e0000000000000000000). It skips a number that is not consumed. */
static bool read_number(struct json_reader *reader, struct str token)
{
    struct json_value v = {JSON_NUMBER, false, 0, token};
    const char *fault = json_number(token, &v.number);
    if (fault)
        return set_fault_at(reader, fault, token);
    report_value(reader, v);
    return true;
}

static bool read_boolean(struct json_reader *reader, ondemand::value &value, struct str token)
{
    struct json_value v = {JSON_BOOLEAN, false, 0, {NULL, 0}};
    if (value.get_bool().get(v.boolean))
        return set_fault_at(reader, not_json, token);
    report_value(reader, v);
    return true;
}

static bool read_null(struct json_reader *reader, ondemand::value &value, struct str token)
{
    bool is_null;
    if (simdjson::simdjson_result<bool>(value.is_null()).get(is_null) || !is_null)
        return set_fault_at(reader, not_json, token);
    report_value(reader, {JSON_NULL, false, 0, {NULL, 0}});
    return true;
}

static bool read_object(struct json_reader *reader, ondemand::object object);
static bool read_array(struct json_reader *reader, ondemand::array array);

static bool read_nested(struct json_reader *reader, ondemand::value &value, struct str token)
{
    bool is_object = token.p[0] == '{';
    ondemand::object object;
    ondemand::array array;
    if (reader->depth == reader->limits.levels)
        return set_fault_at(reader, reader->levels_fault, token);
    report_value(reader, {is_object ? JSON_OBJECT : JSON_ARRAY, false, 0, {NULL, 0}});
    if (is_object ? value.get_object().get(object) : value.get_array().get(array))
        return set_fault_at(reader, not_json, token);
    if (is_object ? !read_object(reader, object) : !read_array(reader, array))
        return false;
    reader->calls->on_close(reader->ctx);
    return true;
}

static bool read_value(struct json_reader *reader, ondemand::value &value, struct str token)
{
    reader->last = (size_t)(token.p - reader->text.p);
    if (token.len == 0 || reader->last + token.len > reader->end)
        return set_fault_at(reader, not_json, token);
    switch (token.p[0]) {
    case '{':
    case '[':
        return read_nested(reader, value, token);
    case '"':
        return read_text(reader, value, token);
    case 't':
    case 'f':
        return read_boolean(reader, value, token);
    case 'n':
        return read_null(reader, value, token);
    default:
        /* A number at the very end may be incomplete. */
        return reader->last + token.len < reader->end ? read_number(reader, token)
                                                      : set_fault_at(reader, not_json, token);
    }
}

/* ---- objects and arrays ---- */

/* The token of a member's name, which precedes that of its value: simdjson has checked the colon between them. */
static struct str name_token(const struct json_reader *reader, const char *name, struct str value)
{
    const char *start = reader->text.p + offset_of(reader, name) - 1, *end = value.p;
    while (end > start && *--end != ':')
        ;
    while (end > start && is_white_space(end[-1]))
        end--;
    return {start, (size_t)(end - start)};
}

static bool read_member(struct json_reader *reader, uint32_t object, ondemand::field &field)
{
    ondemand::value &value = field.value();
    struct str token = token_of(reader, value.raw_json_token());
    struct str name = name_token(reader, field.key().raw(), token);
    reader->last = (size_t)(name.p - reader->text.p);
    if (reader->last + name.len > reader->end)
        return set_fault_at(reader, not_json, name);
    if (!read_string(
            reader, name, [&] { return field.unescaped_key(); }, &name))
        return false;
    if (reader->names && !json_names_add(reader->names, object, name))
        return set_fault(reader, "duplicate member name", reader->last);
    reader->calls->on_name(reader->ctx, name);
    return read_value(reader, value, token);
}

static bool read_object(struct json_reader *reader, ondemand::object object)
{
    uint32_t number = reader->objects++;
    reader->depth++;
    for (auto next : object) {
        ondemand::field field;
        if (std::move(next).get(field))
            return set_fault(reader, not_json, reader->last);
        if (!read_member(reader, number, field))
            return false;
    }
    reader->depth--;
    return true;
}

static bool read_array(struct json_reader *reader, ondemand::array array)
{
    reader->depth++;
    for (auto next : array) {
        ondemand::value value;
        if (std::move(next).get(value)) // NOLINT(performance-move-const-arg): trivial in some implementations alone
            return set_fault(reader, not_json, reader->last);
        if (!read_value(reader, value, token_of(reader, value.raw_json_token())))
            return false;
    }
    reader->depth--;
    return true;
}

/* ---- a text ---- */

/* Reads `len` bytes of the copy. false without a fault: simdjson refused the text before the first value. */
static bool read_document(struct json_reader *reader, size_t len)
{
    ondemand::document document;
    ondemand::object object;
    const char *rest;
    reader->fault = NULL;
    reader->depth = 0;
    reader->objects = 0;
    reader->last = 0;
    if (reader->names)
        json_names_clear(reader->names);
    if (reader->parser.iterate(reader->copy, len, reader->copy_bytes).get(document) ||
        document.get_object().get(object))
        return false;
    if (!read_object(reader, object))
        return false;
    return document.current_location().get(rest) ? true : set_fault(reader, not_json, offset_of(reader, rest));
}

/* The length of the front of an invalid text that can still be read: up to a control character within a string, or a
 * backslash outside one, or the end of the text. */
static size_t readable_bytes(struct str text, bool *ret_in_string)
{
    bool in_string = false;
    size_t i = 0;
    for (; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string ? c < ' ' : c == '\\')
            break;
        else if (c == '\\' && (i + 1 == text.len || (unsigned char)text.p[i + 1] < ' '))
            break;
        else if (c == '\\')
            i++;
    }
    *ret_in_string = in_string;
    return i;
}

/* simdjson checks the whole text before it returns the first value. If that fails, the readable front is terminated as
 * an object and read, so that a reject can name the alert if its id was readable. */
static void read_front(struct json_reader *reader, size_t end)
{
    bool in_string;
    size_t len = reader->end = readable_bytes({reader->text.p, end}, &in_string);
    if (in_string)
        reader->copy[len++] = '"';
    reader->copy[len++] = '}';
    reader->copy[len] = '\0';
    read_document(reader, len);
    if (!reader->fault)
        set_fault(reader, not_json, reader->end);
}

static bool is_other_value(struct str text)
{
    size_t i = 0;
    while (i < text.len && is_white_space(text.p[i]))
        i++;
    return i < text.len && strchr("[\"-0123456789tfn", text.p[i]);
}

static void copy_text(struct json_reader *reader, struct str text)
{
    if (reader->copy_bytes < text.len + PADDING_BYTES) {
        free(reader->copy);
        reader->copy_bytes = text.len + PADDING_BYTES;
        reader->copy = (char *)mem_realloc(NULL, reader->copy_bytes, 1);
    }
    if (text.len > 0)
        memcpy(reader->copy, text.p, text.len);
    memset(reader->copy + text.len, 0, PADDING_BYTES);
}

const char *json_read(struct json_reader *reader, struct str text, const struct json_calls *calls, void *ctx,
                      size_t *ret_offset)
{
    assert(text.len <= reader->limits.bytes);
    const char *text_fault = json_text_fault(text, ret_offset);
    copy_text(reader, text);
    reader->text = text;
    reader->end = text.len;
    reader->has_escapes = text.len > 0 && memchr(text.p, '\\', text.len);
    reader->calls = calls;
    reader->ctx = ctx;
    if (!text_fault && read_document(reader, text.len))
        return NULL;
    if (text_fault || !reader->fault)
        read_front(reader, *ret_offset);
    if (text_fault)
        return text_fault;
    *ret_offset = reader->fault_offset;
    return reader->fault == not_json && is_other_value(text) ? "not an object" : reader->fault;
}

/* ---- the reader ---- */

struct json_reader *json_reader_new(const struct json_limits *limits)
{
    assert(!limits->unique_names || limits->bytes <= ALERT_PAYLOAD_MAX);
    struct json_reader *reader = new (std::nothrow) json_reader();
    if (!reader || reader->parser.allocate(limits->at_once))
        abort(); /* out of memory */
    reader->limits = *limits;
    reader->copy_bytes = limits->at_once + PADDING_BYTES;
    reader->copy = (char *)mem_realloc(NULL, reader->copy_bytes, 1);
    reader->names = limits->unique_names ? json_names_new() : NULL;
    snprintf(reader->levels_fault, sizeof(reader->levels_fault), "nested too deeply (expected at most %u levels)",
             limits->levels);
    return reader;
}

void json_reader_free(struct json_reader **reader)
{
    if (!*reader)
        return;
    json_names_free(&(*reader)->names);
    free((*reader)->copy);
    delete *reader;
    *reader = NULL;
}

const char *json_library(void)
{
    static char text[64];
    snprintf(text, sizeof(text), "simdjson %d.%d.%d (%s)", simdjson::SIMDJSON_VERSION_MAJOR,
             simdjson::SIMDJSON_VERSION_MINOR, simdjson::SIMDJSON_VERSION_REVISION,
             simdjson::get_active_implementation()->name().c_str());
    return text;
}
