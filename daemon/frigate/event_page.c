#include "frigate/event_page.h"

#include <math.h>
#include <stdio.h>

void event_page_path(const struct event_page *page, const char *filter, char ret[EVENT_PAGE_PATH_SIZE])
{
    int len = snprintf(ret, EVENT_PAGE_PATH_SIZE, "/api/events?include_thumbnails=0&limit=%u&%s", page->limit, filter);
    if (!isinf(page->before_s))
        snprintf(ret + len, EVENT_PAGE_PATH_SIZE - (size_t)len, "&before=%.6f", page->before_s);
}

bool event_page_shrink(struct event_page *page, const struct rest_response *response)
{
    if (!(response->too_large || response->partial) || page->limit == 1)
        return false;
    page->limit = page->limit > 100 ? 100 : page->limit > 10 ? 10 : 1;
    return true;
}

bool event_page_turn(struct event_page *page, size_t n)
{
    double next_s = page->least_s + 0.000002;
    if (n < page->limit || !(next_s < page->before_s))
        return false;
    page->before_s = next_s;
    return true;
}
