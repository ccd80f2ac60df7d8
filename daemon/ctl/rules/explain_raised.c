#include "ctl/rules/explain_raised.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* Both queries have the parameters $1, the incident, and $2, the time zone of times. */
/* clang-format off */
#define FOUND                                                                                                          \
    "with found as materialized ("                                                                                     \
    "  select i.*, h.at as verified_at, h.actor from mobeye.incident i"                                                \
    "    left join lateral (select h.at, h.actor from mobeye.incident_history h"                                       \
    "      where h.incident_id = i.incident_id and h.action = 'verified' order by h.entry limit 1) as h on true"       \
    "   where i.incident_id = $1::bigint),"                                                                            \
    " own as materialized ("                                                                                           \
    "  select a.device_id, a.occurred_at, a.stored_at, a.input, a.geom, a.rule,"                                       \
    "         concat_ws(' ', a.kind, 'of', a.device_id, 'input ' || a.input) as name"                                  \
    "    from found i join mobeye.alert_decoded a"                                                                     \
    "      on a.incident_id = i.incident_id and a.occurred_at between i.first_seen and i.last_seen and a.phase = 'raise'" \
    "     and a.device_id in (select i.device_id union select c.device_id from mobeye.incident_condition c"            \
    "                          where c.incident_id = i.incident_id))"

/* One row: the priority, what verified it, whether verify_by gives that priority, the rule that created it. The pair of alerts is the first one that
 * was stored before the verification, by the conditions of mobeye.verify_incidents(). */
static const char verified_sql[] =
    FOUND ", other as materialized ("
    "  select o.device_id, o.occurred_at, o.stored_at, o.input, o.geom, o.name from found i, own o"
    "   where i.verified_by = 'second_input'"
    "  union all"
    "  select distinct a.device_id, a.occurred_at, a.stored_at, a.input, a.geom,"
    "         concat_ws(' ', a.kind, 'of', a.device_id, 'input ' || a.input)"
    "    from found i join mobeye.incident n"
    "      on n.first_seen <= i.last_seen + i.verify_within and n.last_seen >= i.first_seen - i.verify_within"
    "     and n.category = 'alarm' and not n.drill"
    "    join mobeye.incident_condition c on c.incident_id = n.incident_id"
    "    join mobeye.alert_decoded a on a.device_id = c.device_id and a.phase = 'raise' and not a.drill"
    "     and a.occurred_at between i.first_seen - i.verify_within and i.last_seen + i.verify_within"
    "   where i.verified_by = 'second_device'),"
    " pair as ("
    "  select case when b.occurred_at >= a.occurred_at then b.name else a.name end as later,"
    "         case when b.occurred_at >= a.occurred_at then a.name else b.name end as earlier,"
    "         greatest(a.occurred_at, b.occurred_at) as at, abs(extract(epoch from b.occurred_at - a.occurred_at)) as gap_s"
    "    from found i, own a, other b"
    "   where b.occurred_at between a.occurred_at - i.verify_within and a.occurred_at + i.verify_within"
    "     and greatest(a.stored_at, b.stored_at) <= i.verified_at"
    "     and case i.verified_by when 'second_input' then b.device_id = a.device_id and b.input <> a.input"
    "              else b.device_id <> a.device_id"
    "                   and public.st_dwithin(a.geom::public.geography, b.geom::public.geography, i.verify_radius_m) end"
    "   order by greatest(a.stored_at, b.stored_at), a.occurred_at, b.occurred_at limit 1)"
    " select i.priority, i.verified_by || coalesce(': ' || case i.verified_by when 'person'"
    "            then i.actor || to_char(i.verified_at at time zone $2, '\" at \"HH24:MI:SS')"
    "            else (select format('%s at %s, %s s after %s', p.later, to_char(p.at at time zone $2, 'HH24:MI:SS'), round(p.gap_s),"
    "                                p.earlier) from pair p) end, ''),"
    "        i.verified_by is not null and i.verify_priority = i.priority, i.rule from found i";

/* A row for each rule of its alerts, the first one first: the rule, and its first alert. */
static const char by_rule_sql[] =
    FOUND "select f.rule, f.name || to_char(f.occurred_at at time zone $2, '\" at \"HH24:MI:SS')"
    "   from (select distinct on (o.rule) o.* from own o where o.rule is not null order by o.rule, o.stored_at, o.occurred_at) as f"
    "  order by f.stored_at, f.occurred_at";
/* clang-format on */

static PGresult *query_raised(PGconn *conn, const char *sql, const char *incident, const char *zone)
{
    const char *values[] = {incident, zone};
    return PQexecParams(conn, sql, 2, NULL, values, NULL, NULL, 0);
}

/* 0: the file has no such rule, or the rule only stores. */
static int priority_of(const struct conf *conf, const char *rule)
{
    for (size_t i = 0; i < conf->n_rules; i++)
        if (conf->rules[i].makes_incident && strcmp(conf->rules[i].name, rule) == 0)
            return conf->rules[i].terms.priority;
    return 0;
}

static char *format_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format_text(const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return mem_strdup(text);
}

/* NULL: no alert of a rule with that priority joined; the rules may have changed since. */
static char *raised_by_alert(PGconn *conn, const struct conf *conf, const char *incident, int from, int to)
{
    PGresult *rows = query_raised(conn, by_rule_sql, incident, conf->timezone);
    char *text = NULL;
    for (int row = 0; row < PQntuples(rows) && !text; row++)
        if (priority_of(conf, PQgetvalue(rows, row, 0)) == to)
            text = format_text("from %d to %d by %s (rule %s)", from, to, PQgetvalue(rows, row, 1),
                               PQgetvalue(rows, row, 0));
    PQclear(rows);
    return text;
}

/* Rules and areas may have changed since the incident was created. */
static char *stored_as(const struct conf *conf, const char *then, struct str now)
{
    int priority = priority_of(conf, then);
    if (str_is(now, then))
        return NULL;
    return priority > 0
               ? format_text("by rule %s, priority %d; rules, areas or placements have changed since", then, priority)
               : format_text("by rule %s, which the file does not have", then);
}

void explain_raised_read(struct explain_raised *ret, PGconn *conn, const struct conf *conf, const char *incident,
                         struct str rule, int first_priority)
{
    *ret = (struct explain_raised){0};
    PGresult *row = query_raised(conn, verified_sql, incident, conf->timezone);
    if (PQntuples(row) == 1) {
        int priority = atoi(PQgetvalue(row, 0, 0)), then = first_priority;
        if (!PQgetisnull(row, 0, 1))
            ret->verified = mem_strdup(PQgetvalue(row, 0, 1));
        if (!PQgetisnull(row, 0, 3)) {
            ret->stored = stored_as(conf, PQgetvalue(row, 0, 3), rule);
            then = ret->stored ? priority_of(conf, PQgetvalue(row, 0, 3)) : first_priority;
        }
        if (priority < then && *PQgetvalue(row, 0, 2) == 't')
            ret->raised = format_text("from %d to %d by the verification (verify_by of rule %s)", then, priority,
                                      PQgetvalue(row, 0, 3));
        else if (priority < then)
            ret->raised = raised_by_alert(conn, conf, incident, then, priority);
    }
    PQclear(row);
}

void explain_raised_free(struct explain_raised *raised)
{
    free(raised->stored);
    free(raised->verified);
    free(raised->raised);
    *raised = (struct explain_raised){0};
}
