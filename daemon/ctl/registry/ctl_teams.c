/* mobeyectl teams: teams and their areas. */
#include <stdio.h>

#include "ctl/registry/import.h"
#include "ctl/registry/registry_verb.h"
#include "ctl/registry/text_import.h"

#define VERB "teams"

static const char help[] =
    "Usage: mobeyectl teams import [OPTION]... FILE.csv\n"
    "       mobeyectl teams list [OPTION]...\n"
    "       mobeyectl teams show [OPTION]... TEAM\n"
    "       mobeyectl teams export [OPTION]...\n"
    "       mobeyectl teams remove [OPTION]... TEAM\n"
    "Imports, lists, shows, exports or removes teams and their areas.\n\n"
    "The CSV file of import (- for standard input) has the header team,layer,code and one row per area; it is\n"
    "imported completely or not at all. The areas of each team in the file are replaced; a row with only a team is a\n"
    "team without areas. Teams that are not in the file are kept unchanged.\n"
    "export prints all teams as CSV, which import accepts.\n"
    "remove removes a team; its people, placements and incidents are then without a team.\n" CSV_HELP
    "\n" CSV_DRY_RUN_HELP "      --yes              remove: do not ask for confirmation\n" CTL_COMMON_HELP
    "\nExample:\n"
    "  $ mobeyectl teams import teams.csv\n\n"
    "Requires a member of mobeye_owner; for list and show one of mobeye_registry will do, who is not shown "
    "people.\n" CTL_EXIT_HELP;

static const char *const team_columns[] = {"team", "layer", "code"};

static const struct text_import import = {
    .verb = VERB,
    {team_columns, 3, 1},
    NULL,
    "create temporary table team_import (line bigint, team text, layer text, code text) on commit drop",
    "copy pg_temp.team_import from stdin",
    "select line, false, 'team: is not a team name (expected 1 to 64 characters without control characters, and not *)'"
    " from pg_temp.team_import where length(team) > 64 or team ~ '[[:cntrl:]]' or team = '*'"
    " union all select line, false, 'layer: is not a layer name (expected a lower-case letter, then at most 31 of a-z "
    "0-9 _ -)'"
    " from pg_temp.team_import where layer !~ '^[a-z][a-z0-9_-]{0,31}$'"
    " union all select line, false, 'code: is not an area code (expected at most 64 characters without control "
    "characters)'"
    " from pg_temp.team_import where length(code) > 64 or code ~ '[[:cntrl:]]'"
    " union all select line, true, format('team: \"%s\" is new (did you mean %s?)', i.team, meant)"
    " from pg_temp.team_import i join mobeye.unknown_teams((select array_agg(distinct team) from pg_temp.team_import)) "
    "t"
    " on t.team = i.team where meant is not null"
    " union all select line, false, case when layer is null then 'layer: is empty, but code is not'"
    " else 'code: is empty, but layer is not' end from pg_temp.team_import where (layer is null) <> (code is null)"
    " union all select line, true, format('code: area %s does not exist in layer %s yet (mobeyectl areas import)', "
    "code, "
    "layer)"
    " from pg_temp.team_import i where layer is not null and code is not null"
    " and not exists (select from mobeye.area a where a.layer = i.layer and a.code = i.code)",
    "with created as (insert into mobeye.team (team) select distinct team from pg_temp.team_import on conflict do "
    "nothing"
    " returning 1),"
    " removed as (delete from mobeye.team_area a where a.team in (select team from pg_temp.team_import)"
    " and not exists (select from pg_temp.team_import i where (i.team, i.layer, i.code) = (a.team, a.layer, a.code))"
    " returning 1),"
    " added as (insert into mobeye.team_area (team, layer, code) select distinct team, layer, code"
    " from pg_temp.team_import where layer is not null on conflict do nothing returning 1)"
    " select (select count(distinct team) from pg_temp.team_import) as teams, (select count(*) from created) as "
    "created,"
    " (select count(*) from added) as areas_added, (select count(*) from removed) as areas_removed",
    "select * from pg_temp.team_import order by line limit 5",
    false,
};

#define PEOPLE " (select count(*) from mobeye.person p where p.team = t.team) as people,"
#define TEAM(people)                                                                                                   \
    "select t.team, (select count(*) from mobeye.team_area a where a.team = t.team) as areas," people                  \
    " (select count(*) from mobeye.placement p where p.team = t.team and p.during @> now()) as placements"             \
    " from mobeye.team t"

static const struct registry_query export = {
    "select team, layer, code from mobeye.team left join mobeye.team_area using (team) order by 1, 2, 3", 0, NULL};

#define AREAS                                                                                                          \
    {                                                                                                                  \
        "areas", true,                                                                                                 \
            "select layer, code, (select max(name) from mobeye.area a where a.layer = t.layer and a.code = t.code "    \
            "and a.valid"                                                                                              \
            " @> now()) as name from mobeye.team_area t where team = $1 order by 1, 2"                                 \
    }
#define PLACEMENTS                                                                                                     \
    {                                                                                                                  \
        "placements", true,                                                                                            \
            "select device_id, address, secret, lower(during) as placed_from from mobeye.placement where team = $1 "   \
            "and"                                                                                                      \
            " during @> now() order by 1"                                                                              \
    }
static const struct registry_section sections[] = {
    {"team", false, TEAM(PEOPLE) " where t.team = $1"},
    AREAS,
    {"people", true, "select login, name from mobeye.person where team = $1 order by 1"},
    PLACEMENTS,
    {0}};
static const struct registry_section without_people[] = {
    {"team", false, TEAM("") " where t.team = $1"}, AREAS, PLACEMENTS, {0}};

enum access { ACCESS_UNKNOWN, ACCESS_DENIED, ACCESS_GRANTED };

/* Whether people are read; members of mobeye_registry do not. ACCESS_UNKNOWN: the error is printed. */
static enum access access_to_people(PGconn *conn)
{
    PGresult *row = ctl_query(conn, VERB, "query", "select has_table_privilege('mobeye.person', 'select')", 0, NULL);
    enum access access = !row ? ACCESS_UNKNOWN : *PQgetvalue(row, 0, 0) == 't' ? ACCESS_GRANTED : ACCESS_DENIED;
    if (access == ACCESS_DENIED)
        fprintf(stderr, "mobeyectl " VERB ": note: people are left out: only members of mobeye_owner read them\n");
    PQclear(row);
    return access;
}

static int list_teams(const struct ctl_call *call)
{
    static const struct registry_query all = {TEAM(PEOPLE) " order by 1", 0, NULL};
    static const struct registry_query fewer = {TEAM("") " order by 1", 0, NULL};
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    enum access access = conn ? access_to_people(conn) : ACCESS_UNKNOWN;
    int status = CTL_FAILED;
    if (access != ACCESS_UNKNOWN)
        status = registry_print(VERB, conn, call->json, "query", access == ACCESS_GRANTED ? &all : &fewer);
    PQfinish(conn);
    return status;
}

static int show_team(PGconn *conn, const struct ctl_call *call)
{
    enum access access = access_to_people(conn);
    if (access == ACCESS_UNKNOWN)
        return CTL_FAILED;
    return registry_show(VERB, conn, call->json, access == ACCESS_GRANTED ? sections : without_people, 1,
                         (const char *const *)call->arguments);
}

static int remove_team(PGconn *conn, const struct ctl_call *call)
{
    const char *team = call->arguments[0];
    const struct registry_query query = {
        "with removed as (delete from mobeye.team where team = $1 returning team) select team,"
        " (select count(*) from mobeye.person p where p.team = removed.team) as people_without_team,"
        " (select count(*) from mobeye.placement p where p.team = removed.team) as placements_without_team,"
        " (select count(*) from mobeye.incident i where i.team = removed.team) as incidents_without_team from removed",
        1, &team};
    if (!call->yes && !ctl_confirm(VERB, "Remove team %s? Its people will see no incidents.", team))
        return CTL_FAILED;
    return registry_print(VERB, conn, call->json, "remove", &query);
}

enum { IMPORT, LIST, SHOW, EXPORT, REMOVE };

static int run_on_team(const struct ctl_call *call)
{
    const char *team = call->arguments[0];
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    int status = CTL_FAILED;
    if (conn && registry_exists(VERB, conn, "team", team, "select from mobeye.team where team = $1",
                                "select team from mobeye.team"))
        status = call->action == SHOW ? show_team(conn, call) : remove_team(conn, call);
    PQfinish(conn);
    return status;
}

static const struct ctl_verb actions[] = {
    [IMPORT] = {"import", .takes = "dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1},
    [LIST] = {"list", .takes = "config db json"},
    [SHOW] = {"show", .takes = "config db json", .argument = "TEAM", .least = 1, .most = 1},
    [EXPORT] = {"export", .takes = "config db"},
    [REMOVE] = {"remove", .takes = "yes config db json", .argument = "TEAM", .least = 1, .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_teams(int argc, char **argv)
{
    bool dry_run = false;
    const struct ctl_option options[] = {{"dry-run", .flag = &dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    switch (call.action) {
    case IMPORT:
        return text_import_run(&import, &call, dry_run, NULL, NULL);
    case LIST:
        return list_teams(&call);
    case EXPORT:
        return registry_export(VERB, &call, &export);
    default:
        return run_on_team(&call);
    }
}
