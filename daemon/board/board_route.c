/* Parses what a request asks for. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "board/board_api.h"

static const struct {
    const char *path, *call;
    bool post;
} routes[] = {
    {"me", "me", false},           {"queue", "queue", false},   {"map", "map", false},
    {"areas", "areas", false},     {"closed", "closed", false}, {"equipment", "equipment", false},
    {"changes", "changes", false}, {"next", "next", true},      {"mute", "mute", true},
    {"unmute", "unmute", true},
};

static const char *const actions[] = {"claim",  "acknowledge", "assign", "release", "on_scene",
                                      "verify", "note",        "close",  "reopen",  "open"};

/* A number, 1 or more, and what follows it. 0: there is none. */
static int64_t read_id(struct str *text)
{
    int64_t id = 0;
    size_t n = 0;
    while (n < text->len && n < 18 && isdigit((unsigned char)text->p[n]))
        id = id * 10 + (text->p[n++] - '0');
    text->p += n;
    text->len -= n;
    return id;
}

static struct board_route incident_route(struct str rest)
{
    int64_t id = read_id(&rest);
    if (id > 0 && rest.len == 0)
        return (struct board_route){.call = "incident", .id = id};
    if (id == 0 || !str_starts(rest, "/"))
        return (struct board_route){0};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (str_is((struct str){rest.p + 1, rest.len - 1}, actions[i]))
            return (struct board_route){.call = actions[i], .id = id, .post = true};
    return (struct board_route){0};
}

/* What follows the prefix; p is NULL if the text does not start with it. */
static struct str after_prefix(struct str text, const char *prefix)
{
    size_t len = strlen(prefix);
    return str_starts(text, prefix) ? (struct str){text.p + len, text.len - len} : (struct str){0};
}

struct board_route board_route_of(struct str path)
{
    struct str api = after_prefix(path, "/api/"), rest;
    if (!api.p)
        return (struct board_route){0};
    rest = after_prefix(api, "incident/");
    if (rest.p)
        return incident_route(rest);
    rest = after_prefix(api, "image/");
    if (rest.p && rest.len > 0 && rest.len <= 36)
        return (struct board_route){.call = "image", .image = rest};
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (str_is(api, routes[i].path))
            return (struct board_route){.call = routes[i].call, .post = routes[i].post};
    return (struct board_route){0};
}

int64_t board_after(const char *last_event_id, const char *after)
{
    const char *text = last_event_id ? last_event_id : after;
    if (!text)
        return -1;
    struct str rest = str_from(text);
    int64_t id = read_id(&rest);
    return rest.len == 0 && *text ? id : INT64_MAX;
}
