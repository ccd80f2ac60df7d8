#include "frigate/header_field.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/clock.h"

struct str header_value(struct str line, const char *name)
{
    size_t len = strlen(name);
    if (line.len <= len || strncasecmp(line.p, name, len) != 0 || line.p[len] != ':')
        return (struct str){0};
    line.p += len + 1;
    line.len -= len + 1;
    while (line.len > 0 && (*line.p == ' ' || *line.p == '\t')) {
        line.p++;
        line.len--;
    }
    while (line.len > 0 && strchr(" \t\r\n", line.p[line.len - 1]))
        line.len--;
    return line;
}

int64_t header_date_us(struct str value)
{
    char date[64];
    if (value.len >= sizeof(date))
        return 0;
    snprintf(date, sizeof(date), "%.*s", (int)value.len, value.p);
    time_t at = curl_getdate(date, NULL);
    return at > 0 ? (int64_t)at * CLOCK_SECOND : 0;
}
