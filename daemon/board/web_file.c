#include "board/web_file.h"

#include <ctype.h>
#include <stdio.h>

static const struct web_file *file_named(struct str path)
{
    for (size_t i = 0; i < web_files_n; i++)
        if (str_is(path, web_files[i].path))
            return &web_files[i];
    return NULL;
}

/* Whether the path is /incident/ and a number. */
static bool is_incident(struct str path)
{
    const size_t prefix = sizeof("/incident/") - 1;
    if (!str_starts(path, "/incident/") || path.len == prefix || path.len > prefix + 18)
        return false;
    for (size_t i = prefix; i < path.len; i++)
        if (!isdigit((unsigned char)path.p[i]))
            return false;
    return true;
}

bool web_file_is_page(struct str path)
{
    return str_is(path, "/") || str_is(path, "/equipment") || str_is(path, "/closed") || str_is(path, "/wall") ||
           is_incident(path);
}

const struct web_file *web_file_find(struct str path)
{
    char name[32];
    if (!web_file_is_page(path))
        return file_named(path);
    snprintf(name, sizeof(name), "%.*s.html", is_incident(path) ? (int)sizeof("/incident") - 1 : (int)path.len, path.p);
    const struct web_file *page = file_named(str_from(name));
    return page ? page : file_named(STR("/index.html"));
}
