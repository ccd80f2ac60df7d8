/* The database backend: lists and views incidents. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/rules/scenario_database.h"

int database_list_incidents(void *backend, uint64_t **ret_ids, size_t *ret_n, struct err *err)
{
    struct scenario_database *d = backend;
    PGresult *rows = server_query(d->server->conn, "the incidents",
                                  "select incident_id from mobeye.incident order by incident_id", 0, NULL, err);
    if (!rows)
        return -1;
    *ret_n = (size_t)PQntuples(rows);
    *ret_ids = mem_realloc(NULL, *ret_n + 1, sizeof(**ret_ids));
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_ids)[i] = strtoull(PQgetvalue(rows, (int)i, 0), NULL, 10);
    PQclear(rows);
    return 0;
}

enum view_column {
    CATEGORY,
    KIND,
    DEVICE,
    RULE,
    STATUS,
    OUTCOME,
    VERIFIED_BY,
    TEAM,
    PLACE,
    WORDS,
    PRIORITY = WORDS,
    ALERTS,
    ACTIVE,
    FLAPS,
    ACCEPTING,
    DRILL,
    URGENT,
    FIRST,
    LAST,
    RESTORED,
    CANCELLED,
    OVERDUE,
    OVERDUE_STEP,
    PREVIOUS,
    MERGED,
    AREAS,
};

#define MICROSECONDS(column) "(extract(epoch from " column ") * 1000000)::bigint"

static int64_t view_time(const struct scenario_database *d, const PGresult *rows, enum view_column column)
{
    const char *text = PQgetvalue(rows, 0, (int)column);
    return *text ? strtoll(text, NULL, 10) - d->shift_us : ALERT_NO_TIME;
}

static uint64_t view_id(const PGresult *rows, enum view_column column)
{
    return strtoull(PQgetvalue(rows, 0, (int)column), NULL, 10);
}

/* Splits "layer:code,layer:code" in place; the areas refer to the text. */
static void view_areas(struct scenario_database *d, char *text)
{
    size_t n = 0;
    char *rest = NULL;
    d->areas = mem_realloc(d->areas, sizeof(*d->areas) + (strlen(text) + 1) * sizeof(d->areas->area[0]), 1);
    for (char *area = strtok_r(text, ",", &rest); area; area = strtok_r(NULL, ",", &rest)) {
        char *colon = strchr(area, ':');
        d->areas->area[n].layer = (struct str){area, (size_t)(colon - area)};
        d->areas->area[n++].code = str_from(colon + 1);
    }
    d->areas->n = n;
}

/* Copies the strings to d->view, so that the rows can be cleared afterwards. */
static void fill_view(struct scenario_database *d, const PGresult *rows, struct incident_view *ret)
{
    struct str *words[] = {
        [CATEGORY] = &ret->category, [KIND] = &ret->kind,       [DEVICE] = &ret->device,           [RULE] = &ret->rule,
        [STATUS] = &ret->status,     [OUTCOME] = &ret->outcome, [VERIFIED_BY] = &ret->verified_by, [TEAM] = &ret->team,
        [PLACE] = &ret->place};
    size_t at = 0;
    d->view.len = 0;
    for (int i = 0; i <= AREAS; i++)
        buf_append(&d->view, PQgetvalue(rows, 0, i), (size_t)PQgetlength(rows, 0, i) + 1);
    for (int i = 0; i < WORDS; i++) {
        *words[i] = str_from(d->view.data + at);
        at += words[i]->len + 1;
    }
    ret->priority = atoi(PQgetvalue(rows, 0, PRIORITY));
    ret->alerts = atoi(PQgetvalue(rows, 0, ALERTS));
    ret->active = atoi(PQgetvalue(rows, 0, ACTIVE));
    ret->flaps = atoi(PQgetvalue(rows, 0, FLAPS));
    ret->accepting = *PQgetvalue(rows, 0, ACCEPTING) == 't';
    ret->drill = *PQgetvalue(rows, 0, DRILL) == 't';
    ret->urgent = *PQgetvalue(rows, 0, URGENT) == 't';
    ret->first_us = view_time(d, rows, FIRST);
    ret->last_us = view_time(d, rows, LAST);
    ret->restored_us = view_time(d, rows, RESTORED);
    ret->cancelled_us = view_time(d, rows, CANCELLED);
    ret->overdue_step = atoi(PQgetvalue(rows, 0, OVERDUE_STEP));
    ret->overdue_us = view_time(d, rows, OVERDUE);
    ret->previous_id = view_id(rows, PREVIOUS);
    ret->merged_id = view_id(rows, MERGED);
    view_areas(d, d->view.data + d->view.len - 1 - PQgetlength(rows, 0, AREAS));
    ret->areas = d->areas;
}

/* In the order of enum view_column. */
static const char view_sql[] =
    "select category, kind, device_id, rule, status, outcome, verified_by, team, location_source, priority, "
    "alert_count,"
    " active, flaps, accepting, drill, urgent, " MICROSECONDS("first_seen") ", " MICROSECONDS(
        "last_seen") ", " MICROSECONDS("restored_at") ", " MICROSECONDS("cancelled_at") ", " MICROSECONDS("overdue_"
                                                                                                          "since") ", "
                                                                                                                   "ove"
                                                                                                                   "rdu"
                                                                                                                   "e_"
                                                                                                                   "ste"
                                                                                                                   "p, "
                                                                                                                   "pre"
                                                                                                                   "vio"
                                                                                                                   "us_"
                                                                                                                   "id,"
                                                                                                                   " me"
                                                                                                                   "rge"
                                                                                                                   "d_"
                                                                                                                   "int"
                                                                                                                   "o, "
                                                                                                                   "arr"
                                                                                                                   "ay_"
                                                                                                                   "to_"
                                                                                                                   "str"
                                                                                                                   "ing"
                                                                                                                   "(ar"
                                                                                                                   "eas"
                                                                                                                   ", "
                                                                                                                   "','"
                                                                                                                   ")"
                                                                                                                   " fr"
                                                                                                                   "om "
                                                                                                                   "mob"
                                                                                                                   "eye"
                                                                                                                   ".in"
                                                                                                                   "cid"
                                                                                                                   "ent"
                                                                                                                   " wh"
                                                                                                                   "ere"
                                                                                                                   " in"
                                                                                                                   "cid"
                                                                                                                   "ent"
                                                                                                                   "_id"
                                                                                                                   " = "
                                                                                                                   "$1:"
                                                                                                                   ":bi"
                                                                                                                   "gin"
                                                                                                                   "t";

int database_view_incident(void *backend, uint64_t id, struct incident_view *ret, struct err *err)
{
    struct scenario_database *d = backend;
    char number[32];
    snprintf(number, sizeof(number), "%" PRIu64, id);
    const char *values[] = {number};
    PGresult *rows = server_query(d->server->conn, "the incident", view_sql, 1, values, err);
    if (!rows)
        return -1;
    int rc = PQntuples(rows) == 1 ? 0 : err_set(err, "incident %s no longer exists", number);
    if (rc == 0)
        fill_view(d, rows, ret);
    PQclear(rows);
    return rc;
}
