/* Facts of incidents and alerts, by name and in the notation of expectations. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/rules/scenario_run.h"

enum fact_type { WORD, NUMBER, YES, TIME, INCIDENT };

struct fact {
    const char *name;
    enum fact_type type;
    size_t offset;
};

#define OF_INCIDENT(name, type, member)                                                                                \
    {                                                                                                                  \
        name, type, offsetof(struct incident_view, member)                                                             \
    }
#define OF_ALERT(name, type, member)                                                                                   \
    {                                                                                                                  \
        name, type, offsetof(struct alert, member)                                                                     \
    }

static const struct fact incident_facts[] = {
    OF_INCIDENT("category", WORD, category),
    OF_INCIDENT("kind", WORD, kind),
    OF_INCIDENT("device", WORD, device),
    OF_INCIDENT("rule", WORD, rule),
    OF_INCIDENT("status", WORD, status),
    OF_INCIDENT("outcome", WORD, outcome),
    OF_INCIDENT("verified_by", WORD, verified_by),
    OF_INCIDENT("team", WORD, team),
    OF_INCIDENT("place", WORD, place),
    OF_INCIDENT("priority", NUMBER, priority),
    OF_INCIDENT("alerts", NUMBER, alerts),
    OF_INCIDENT("active", NUMBER, active),
    OF_INCIDENT("flaps", NUMBER, flaps),
    OF_INCIDENT("overdue_step", NUMBER, overdue_step),
    OF_INCIDENT("accepting", YES, accepting),
    OF_INCIDENT("drill", YES, drill),
    OF_INCIDENT("urgent", YES, urgent),
    OF_INCIDENT("first", TIME, first_us),
    OF_INCIDENT("last", TIME, last_us),
    OF_INCIDENT("restored", TIME, restored_us),
    OF_INCIDENT("cancelled", TIME, cancelled_us),
    OF_INCIDENT("overdue", TIME, overdue_us),
    OF_INCIDENT("previous", INCIDENT, previous_id),
    OF_INCIDENT("merged", INCIDENT, merged_id),
    {0},
};

static const struct fact alert_facts[] = {
    OF_ALERT("device", WORD, device),
    OF_ALERT("rule", WORD, rule),
    OF_ALERT("registered", YES, registered),
    OF_ALERT("occurred", TIME, occurred_us),
    {0},
};

size_t incident_number(const struct numbering *numbering, uint64_t id)
{
    for (size_t i = 0; i < numbering->n; i++)
        if (numbering->ids[i] == id)
            return i + 1;
    return 0;
}

static void put_incident(struct buf *text, const struct numbering *numbering, uint64_t id)
{
    if (id)
        buf_printf(text, "%zu", incident_number(numbering, id));
    else
        buf_printf(text, "none");
}

/* Writes the time as precisely as the expected one: with seconds if either has them, with offset if that has one. */
static void put_time(struct buf *text, int64_t us, const char *like)
{
    if (us == ALERT_NO_TIME) {
        buf_printf(text, "never");
        return;
    }
    time_t seconds = (time_t)(us / CLOCK_SECOND);
    struct tm tm;
    char out[64];
    localtime_r(&seconds, &tm);
    bool has_seconds = strlen(like) != 5 || tm.tm_sec != 0;
    strftime(out, sizeof(out), has_seconds && strlen(like) != 11 ? "%H:%M:%S" : "%H:%M", &tm);
    buf_printf(text, "%s", out);
    if (strchr(like, '+')) {
        strftime(out, sizeof(out), "%z", &tm);
        buf_printf(text, "%.3s:%s", out, out + 3);
    }
}

static void put_areas(struct buf *text, const struct alert_areas *areas)
{
    for (size_t i = 0; areas && i < areas->n; i++)
        buf_printf(text, "%s%.*s:%.*s", i ? "+" : "", (int)areas->area[i].layer.len, areas->area[i].layer.p,
                   (int)areas->area[i].code.len, areas->area[i].code.p);
    if (!areas || areas->n == 0)
        buf_printf(text, "none");
}

static void put_flags(struct buf *text, uint32_t flags)
{
    size_t before = text->len;
    const char *word;
    for (unsigned bit = 0; (word = alert_flag_word(bit)); bit++)
        if (flags & (1u << bit))
            buf_printf(text, "%s%s", text->len > before ? "+" : "", word);
    if (text->len == before)
        buf_printf(text, "none");
}

static void put_word(struct buf *text, struct str word)
{
    buf_append_str(text, word.len > 0 ? word : STR("none"));
}

static void put_fact(struct buf *text, const struct fact *fact, const void *object, const struct numbering *numbering,
                     const char *like)
{
    const void *member = (const char *)object + fact->offset;
    switch (fact->type) {
    case WORD:
        put_word(text, *(const struct str *)member);
        return;
    case NUMBER:
        buf_printf(text, "%d", *(const int *)member);
        return;
    case YES:
        buf_printf(text, "%s", *(const bool *)member ? "yes" : "no");
        return;
    case TIME:
        put_time(text, *(const int64_t *)member, like);
        return;
    case INCIDENT:
        put_incident(text, numbering, *(const uint64_t *)member);
        return;
    }
}

static bool put_named(struct buf *text, const struct fact *facts, const char *name, const void *object,
                      const struct numbering *numbering, const char *like)
{
    for (const struct fact *fact = facts; fact->name; fact++)
        if (strcmp(fact->name, name) == 0) {
            put_fact(text, fact, object, numbering, like);
            return true;
        }
    for (const struct fact *fact = facts; fact->name; fact++)
        buf_printf(text, "%s ", fact->name);
    return false;
}

bool incident_fact(const struct incident_view *view, const struct numbering *numbering, const char *name,
                   const char *like, struct buf *text)
{
    if (strcmp(name, "areas") == 0) {
        put_areas(text, view->areas);
        return true;
    }
    bool known = put_named(text, incident_facts, name, view, numbering, like);
    if (!known)
        buf_printf(text, "areas");
    return known;
}

bool alert_fact(const struct alert *alert, uint64_t incident, const struct numbering *numbering, const char *name,
                const char *like, struct buf *text)
{
    if (strcmp(name, "incident") == 0)
        put_incident(text, numbering, incident);
    else if (strcmp(name, "areas") == 0)
        put_areas(text, alert->areas);
    else if (strcmp(name, "flags") == 0)
        put_flags(text, alert->flags);
    else if (strcmp(name, "place") == 0)
        put_word(text, str_from(alert_location_word(alert->place.source)));
    else if (!put_named(text, alert_facts, name, alert, numbering, like)) {
        buf_printf(text, "incident areas flags place");
        return false;
    }
    return true;
}
