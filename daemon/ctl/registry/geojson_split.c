#include "ctl/registry/geojson_split.h"

#include <string.h>

void geojson_split_free(struct geojson_split *split)
{
    buf_free(&split->outline);
    buf_free(&split->object);
}

/* Appends the bytes from *run to `end` to the object or to the outline. */
static void flush_run(struct geojson_split *split, const char **run, const char *end)
{
    buf_append(split->in_object ? &split->object : &split->outline, *run, (size_t)(end - *run));
    *run = end;
}

static bool announce_array(struct geojson_split *split)
{
    if (split->array_announced)
        return true;
    split->array_announced = true;
    size_t len = split->outline.len;
    buf_append_str(&split->outline, STR("]}"));
    bool go_on = split->calls->array(split->ctx, buf_str(&split->outline));
    split->outline.len = len;
    return go_on;
}

static bool begin_object(struct geojson_split *split)
{
    buf_append_str(&split->outline, STR("{}"));
    split->in_object = true;
    split->object_lines = split->lines;
    return announce_array(split);
}

static bool end_object(struct geojson_split *split)
{
    bool go_on = split->calls->object(split->ctx, buf_str(&split->object), split->object_lines + 1);
    uint64_t lines = split->lines - split->object_lines;
    memset(buf_reserve(&split->outline, lines), '\n', lines);
    split->outline.len += lines;
    split->object.len = 0;
    split->in_object = false;
    return go_on;
}

static bool open_bracket(struct geojson_split *split, const char **run, const char *at)
{
    bool go_on = true;
    if (*at == '{' && split->depth == 2 && split->open[0] == '{' && split->open[1] == '[') {
        flush_run(split, run, at);
        go_on = begin_object(split);
    }
    if (split->depth < 2)
        split->open[split->depth] = *at;
    if (split->depth == 1)
        split->array_announced = false;
    split->depth++;
    return go_on;
}

static bool close_bracket(struct geojson_split *split, const char **run, const char *at)
{
    if (split->depth > 0)
        split->depth--;
    if (!split->in_object || split->depth != 2)
        return true;
    flush_run(split, run, at + 1);
    return end_object(split);
}

/* Whether the byte belongs to a string. */
static bool pass_string(struct geojson_split *split, char c)
{
    if (!split->in_string)
        return split->in_string = c == '"';
    if (split->escaped)
        split->escaped = false;
    else if (c == '\\')
        split->escaped = true;
    else
        split->in_string = c != '"';
    return true;
}

enum geojson_split_result geojson_split_feed(struct geojson_split *split, const char *bytes, size_t len)
{
    const char *run = bytes;
    for (const char *at = bytes; at < bytes + len; at++) {
        split->lines += *at == '\n';
        if (pass_string(split, *at))
            continue;
        if ((*at == '{' || *at == '[') && !open_bracket(split, &run, at))
            return GEOJSON_SPLIT_STOPPED;
        if ((*at == '}' || *at == ']') && !close_bracket(split, &run, at))
            return GEOJSON_SPLIT_STOPPED;
    }
    flush_run(split, &run, bytes + len);
    bool too_large = split->outline.len > GEOJSON_PART_MAX || split->object.len > GEOJSON_PART_MAX;
    return too_large ? GEOJSON_SPLIT_TOO_LARGE : GEOJSON_SPLIT_OK;
}

struct str geojson_split_outline(struct geojson_split *split)
{
    if (split->object.len > 0)
        buf_append_str(&split->outline, buf_str(&split->object));
    return buf_str(&split->outline);
}
