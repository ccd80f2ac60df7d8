#include "model/incident.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

const char *incident_category_word(enum incident_category category)
{
    static const char *const words[] = {[CATEGORY_ALARM] = "alarm", [CATEGORY_SERVICE] = "service"};
    return words[category];
}

static size_t grown_cap(size_t cap)
{
    return cap ? 2 * cap : 64;
}

size_t incident_set_add(struct incident_set *set)
{
    if (set->n_incidents == set->cap_incidents) {
        set->cap_incidents = grown_cap(set->cap_incidents);
        set->incidents = mem_realloc(set->incidents, set->cap_incidents, sizeof(*set->incidents));
    }
    set->incidents[set->n_incidents] = (struct incident){
        .first_seen_us = ALERT_NO_TIME,
        .last_seen_us = ALERT_NO_TIME,
        .first_received_us = ALERT_NO_TIME,
        .last_received_us = ALERT_NO_TIME,
        .closed_us = ALERT_NO_TIME,
        .restored_us = ALERT_NO_TIME,
        .inactive_us = ALERT_NO_TIME,
        .restore_received_us = ALERT_NO_TIME,
        .unmuted_us = ALERT_NO_TIME,
        .cancelled_us = ALERT_NO_TIME,
        .place.accuracy_m = NAN,
        .extent = {INFINITY, INFINITY, -INFINITY, -INFINITY},
    };
    return set->n_incidents++;
}

size_t incident_set_add_condition(struct incident_set *set)
{
    if (set->n_conditions == set->cap_conditions) {
        set->cap_conditions = grown_cap(set->cap_conditions);
        set->conditions = mem_realloc(set->conditions, set->cap_conditions, sizeof(*set->conditions));
    }
    set->conditions[set->n_conditions] = (struct condition){.incident = NO_INCIDENT, .since_us = ALERT_NO_TIME};
    return set->n_conditions++;
}

void incident_set_add_departure(struct incident_set *set, struct departure departure)
{
    if (set->n_departures == set->cap_departures) {
        set->cap_departures = grown_cap(set->cap_departures);
        set->departures = mem_realloc(set->departures, set->cap_departures, sizeof(*set->departures));
    }
    set->departures[set->n_departures++] = departure;
}

void incident_set_clear(struct incident_set *set)
{
    set->n_incidents = set->n_conditions = set->n_departures = 0;
    set->text.len = 0;
}

void incident_set_free(struct incident_set *set)
{
    free(set->incidents);
    free(set->conditions);
    free(set->departures);
    buf_free(&set->text);
    *set = (struct incident_set){0};
}

void extent_take_in(struct extent *extent, double lon, double lat)
{
    extent->west = fmin(extent->west, floor(lon * 5000) / 5000);
    extent->south = fmin(extent->south, floor(lat * 5000) / 5000);
    extent->east = fmax(extent->east, ceil(lon * 5000) / 5000);
    extent->north = fmax(extent->north, ceil(lat * 5000) / 5000);
}
