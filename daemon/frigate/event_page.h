/*
 * Pages of a list of events (/api/events), the newest first: the size of a page, and where the next one ends. Pure.
 */
#ifndef MOBEYE_FRIGATE_EVENT_PAGE_H
#define MOBEYE_FRIGATE_EVENT_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "frigate/rest_client.h"

#define EVENT_PAGE_PATH_SIZE 256

struct event_page {
    unsigned limit;  /* events in a page */
    double before_s; /* only events that began before this; INFINITY: all */
    double least_s;  /* the earliest start in the page */
};

/* The path of the page. filter: "after=1.5", "in_progress=1". */
void event_page_path(const struct event_page *page, const char *filter, char ret[EVENT_PAGE_PATH_SIZE]);

/* Whether fewer events are to be asked for at once: the response is too large, or was cut off. */
bool event_page_shrink(struct event_page *page, const struct rest_response *response);

/* Moves on to the next page, which ends where this one, of n events, began. false: it was the last. */
bool event_page_turn(struct event_page *page, size_t n);

#endif
