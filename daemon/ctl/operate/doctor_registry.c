/* mobeyectl doctor: what the rules and the teams refer to, but nobody has registered. */
#include <string.h>

#include "base/array.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/rule_team.h"
#include "ctl/operate/doctor.h"

#define CHECK "registry"

/* Rows of text and advice: what is missing. */
static const char *const missing[] = {
    "select 'no team is registered, and no person of all teams: no officer sees an incident',"
    " 'mobeyectl teams import adds teams; team * of a person is all teams'"
    " where not exists (select from mobeye.team) and not exists (select from mobeye.person where all_teams)",
    "select 'no person is registered: no officer sees an incident', 'mobeyectl people import adds people'"
    " where not exists (select from mobeye.person)",
    "select 'no device is placed: alerts have no address, and a team only if they report a location',"
    " 'mobeyectl devices import places devices, mobeyectl device place one'"
    " where not exists (select from mobeye.placement where during @> now())",
    "select 'no person may see team ' || t.team, 'mobeyectl people import adds people' from mobeye.team t"
    " where not exists (select from mobeye.person p where p.team = t.team or p.all_teams) order by 1",
    "select 'person ' || p.login || ' has no database login', 'mobeyectl people import --make-logins creates it'"
    " from mobeye.person p where not exists (select from pg_roles r where r.rolname = p.login and r.rolcanlogin) order "
    "by 1",
    "select 'team ' || t.team || ' has no area and no placement', 'mobeyectl teams import gives it areas'"
    " from mobeye.team t where not exists (select from mobeye.team_area a where a.team = t.team)"
    " and not exists (select from mobeye.placement p where p.team = t.team) order by 1",
    "select 'team ' || t.team || ' has area ' || t.code || ' of layer ' || t.layer || ', which does not exist',"
    " 'mobeyectl areas import adds areas' from mobeye.team_area t where not exists (select from mobeye.area a"
    " where a.layer = t.layer and a.code = t.code) order by 1",
};

#define N_MISSING ARRAY_LEN(missing)

static bool was_named_before(const struct conf *conf, size_t rule, const char *layer)
{
    for (size_t i = 0; i < rule; i++)
        if (conf->rules[i].match.area_layer && strcmp(conf->rules[i].match.area_layer, layer) == 0)
            return true;
    return false;
}

static void say_layer(struct doctor *d, const char *layer)
{
    PGresult *row = PQexecParams(d->own, "select count(*) from mobeye.area where layer = $1 and valid @> now()", 1,
                                 NULL, &layer, NULL, NULL, 0);
    if (PQntuples(row) == 1 && strcmp(PQgetvalue(row, 0, 0), "0") == 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "mobeyectl areas import adds areas; until then these rules match nothing",
                   "rules name layer %s: 0 areas", layer);
    PQclear(row);
}

static void say_layers(struct doctor *d)
{
    for (size_t i = 0; d->conf && i < d->conf->n_rules; i++) {
        const char *layer = d->conf->rules[i].match.area_layer;
        if (layer && !was_named_before(d->conf, i, layer))
            say_layer(d, layer);
    }
}

static void say_team(struct doctor *d, const struct conf_rule *rule)
{
    struct buf why = {0};
    rule_team_check(d->own, rule->terms.rule, rule->terms.team, &why);
    if (why.len > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "correct the rule, or mobeyectl teams import adds the team; until then its incidents have the team "
                   "of their place",
                   "%.*s", (int)why.len, why.data);
    buf_free(&why);
}

static void say_teams(struct doctor *d)
{
    for (size_t i = 0; d->conf && i < d->conf->n_rules; i++)
        if (d->conf->rules[i].makes_incident)
            say_team(d, &d->conf->rules[i]);
}

static void say_rows(struct doctor *d, const char *sql)
{
    PGresult *rows = PQexec(d->own, sql);
    for (int row = 0; row < PQntuples(rows); row++)
        doctor_say(d, DOCTOR_WARNING, CHECK, PQgetvalue(rows, row, 1), "%s", PQgetvalue(rows, row, 0));
    PQclear(rows);
}

void doctor_registry(struct doctor *d)
{
    unsigned before = d->printed[DOCTOR_WARNING];
    if (!d->own || !ctl_readable(d->own, "mobeye.person") || !ctl_readable(d->own, "mobeye.area")) {
        doctor_say_unread(d, d->own, CHECK, "mobeye.person and mobeye.area");
        return;
    }
    say_layers(d);
    say_teams(d);
    for (size_t i = 0; i < N_MISSING; i++)
        say_rows(d, missing[i]);
    if (d->printed[DOCTOR_WARNING] == before)
        doctor_say(d, DOCTOR_OK, CHECK, NULL,
                   "all layers, areas, teams and people that rules and teams refer to exist");
}
