#include "ingest/json_read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "alert/alert.h"
#include "base/mem.h"
#include "ingest/json_names.h"
#include "ingest/json_text.h"

/* What yajl allocates for one text: two buffers that double from 2 KiB until they are larger than the text, the older
 * halves never freed, and its own structs. */
enum { ARENA_BYTES = 9 * ALERT_PAYLOAD_MAX };

struct json_reader {
    struct str text;
    yajl_handle yajl;
    size_t end; /* of the outermost object, once it is closed */
    const struct json_calls *calls;
    void *ctx;
    const char *fault; /* why a callback stopped yajl */
    unsigned depth;
    uint32_t objects;                 /* seen so far */
    uint32_t object[JSON_LEVELS_MAX]; /* the number of each that is open */

    struct json_names *names;
    yajl_alloc_funcs alloc_funcs;
    size_t unescaped_used;
    char unescaped[ALERT_PAYLOAD_MAX]; /* strings that had escapes; each was longer in the text */
    size_t arena_used;
    _Alignas(max_align_t) char arena[ARENA_BYTES]; /* what is never used is never touched */
};

/* ---- memory for yajl: nothing is freed until the next text ---- */

/* Before each block: its size, for realloc. */
enum { BLOCK_HEADER = sizeof(max_align_t) };

static void *arena_alloc(void *ctx, size_t size)
{
    struct json_reader *reader = ctx;
    size_t whole = BLOCK_HEADER + ((size + BLOCK_HEADER - 1) & ~(size_t)(BLOCK_HEADER - 1));
    if (whole > ARENA_BYTES - reader->arena_used)
        abort();
    char *block = reader->arena + reader->arena_used;
    memcpy(block, &size, sizeof(size));
    reader->arena_used += whole;
    return block + BLOCK_HEADER;
}

static void arena_free(void *ctx, void *block)
{
    (void)ctx;
    (void)block;
}

static void *arena_realloc(void *ctx, void *old, size_t size)
{
    void *block = arena_alloc(ctx, size);
    if (old) {
        size_t old_size;
        memcpy(&old_size, (char *)old - BLOCK_HEADER, sizeof(old_size));
        memcpy(block, old, old_size < size ? old_size : size);
    }
    return block;
}

/* ---- yajl's callbacks: 0 stops it ---- */

static int stop(struct json_reader *reader, const char *fault)
{
    reader->fault = fault;
    return 0;
}

static int value(struct json_reader *reader, const struct json_value *v)
{
    if (reader->depth == 0)
        return stop(reader, "not an object");
    reader->calls->value(reader->ctx, v);
    return 1;
}

/* yajl gives strings without escapes where they are in the text, others in a buffer that it uses again. */
static struct str keep(struct json_reader *reader, const unsigned char *p, size_t len)
{
    if ((uintptr_t)p - (uintptr_t)reader->text.p < reader->text.len)
        return (struct str){(const char *)p, len};
    assert(len <= sizeof(reader->unescaped) - reader->unescaped_used);
    char *copy = reader->unescaped + reader->unescaped_used;
    memcpy(copy, p, len);
    reader->unescaped_used += len;
    return (struct str){copy, len};
}

static int on_null(void *ctx)
{
    return value(ctx, &(struct json_value){.type = JSON_NULL});
}

static int on_boolean(void *ctx, int boolean)
{
    return value(ctx, &(struct json_value){.type = JSON_BOOLEAN, .boolean = boolean});
}

static int on_number(void *ctx, const char *p, size_t len)
{
    struct json_value v = {.type = JSON_NUMBER};
    const char *fault = json_number((struct str){p, len}, &v.number);
    return fault ? stop(ctx, fault) : value(ctx, &v);
}

static int on_string(void *ctx, const unsigned char *p, size_t len)
{
    return value(ctx, &(struct json_value){.type = JSON_STRING, .string = keep(ctx, p, len)});
}

static int open_level(struct json_reader *reader, enum json_type type)
{
    if (reader->depth == JSON_LEVELS_MAX)
        return stop(reader, "more than 16 levels");
    if (!(reader->depth == 0 && type == JSON_OBJECT) && !value(reader, &(struct json_value){.type = type}))
        return 0;
    reader->object[reader->depth++] = reader->objects++;
    return 1;
}

static int close_level(void *ctx)
{
    struct json_reader *reader = ctx;
    if (--reader->depth > 0)
        reader->calls->close(reader->ctx);
    else
        reader->end = yajl_get_bytes_consumed(reader->yajl);
    return 1;
}

static int on_start_map(void *ctx)
{
    return open_level(ctx, JSON_OBJECT);
}

static int on_start_array(void *ctx)
{
    return open_level(ctx, JSON_ARRAY);
}

static int on_map_key(void *ctx, const unsigned char *p, size_t len)
{
    struct json_reader *reader = ctx;
    struct str name = keep(reader, p, len);
    if (!json_names_add(reader->names, reader->object[reader->depth - 1], name))
        return stop(reader, "an object has a member name twice");
    reader->calls->name(reader->ctx, name);
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = close_level,
    .yajl_start_array = on_start_array,
    .yajl_end_array = close_level,
};

/* ---- the reader ---- */

struct json_reader *json_reader_new(void)
{
    struct json_reader *reader = mem_zalloc(sizeof(*reader));
    reader->names = json_names_new();
    reader->alloc_funcs = (yajl_alloc_funcs){arena_alloc, arena_realloc, arena_free, reader};
    return reader;
}

void json_reader_free(struct json_reader **reader)
{
    if (!*reader)
        return;
    json_names_free(&(*reader)->names);
    free(*reader);
    *reader = NULL;
}

static void start(struct json_reader *reader, struct str text, const struct json_calls *calls, void *ctx)
{
    reader->text = text;
    reader->calls = calls;
    reader->ctx = ctx;
    reader->fault = NULL;
    reader->depth = 0;
    reader->objects = 0;
    reader->unescaped_used = 0;
    reader->arena_used = 0;
    json_names_clear(reader->names);
    reader->yajl = yajl_alloc(&callbacks, &reader->alloc_funcs, reader);
    yajl_config(reader->yajl, yajl_dont_validate_strings, 1);
}

static bool is_white_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* yajl takes the beginning of a token for nothing where it is the end of the text. */
static bool trailing_garbage(const struct json_reader *reader, size_t *ret_offset)
{
    for (size_t i = reader->end; i < reader->text.len; i++)
        if (!is_white_space(reader->text.p[i])) {
            *ret_offset = i;
            return true;
        }
    return false;
}

const char *json_read(struct json_reader *reader, struct str text, const struct json_calls *calls, void *ctx,
                      size_t *ret_offset)
{
    assert(text.len <= ALERT_PAYLOAD_MAX);
    start(reader, text, calls, ctx);
    /* A fault in the text ends it there: what comes before is still read. */
    size_t fault_offset;
    const char *text_fault = json_text_fault(text, &fault_offset);
    yajl_status status = yajl_parse(reader->yajl, (const unsigned char *)text.p, fault_offset);
    *ret_offset = status == yajl_status_ok ? fault_offset : yajl_get_bytes_consumed(reader->yajl);
    if (status == yajl_status_ok && text_fault)
        return text_fault;
    if (status == yajl_status_ok)
        status = yajl_complete_parse(reader->yajl);
    if (status == yajl_status_client_canceled)
        return reader->fault;
    return status != yajl_status_ok || trailing_garbage(reader, ret_offset) ? "not JSON" : NULL;
}
