/* mobeyectl people, mobeyectl teams: imports the people who handle incidents, and the areas of their teams. */
#include <stdio.h>

#include "ctl/registry/import.h"

/* The description of an import into one table of texts. */
struct texts {
    struct ctl_verb verb;
    struct csv_columns columns;
    const char *stage, *copy, *check, *merge, *first;
};

static const char people_help[] =
    "Usage: mobeyectl people import [OPTION]... FILE.csv\n"
    "       mobeyectl people remove [OPTION]... LOGIN\n"
    "Imports people, or removes one.\n\n"
    "import adds and changes people from a CSV file (- for standard input) with the header login,name,team, "
    "completely\n"
    "or not at all. People who are not in the file are kept. The team must exist (mobeyectl teams import); team * is "
    "a\n"
    "control room, which sees the incidents of all teams; a person without a team sees none. No database login is\n"
    "created; if one is missing, its line is printed with a warning.\n"
    "remove removes a person, the database login with its rights, and its live sessions.\n" CSV_HELP
    "\n" CSV_DRY_RUN_HELP CTL_COMMON_HELP "\nExamples:\n"
    "  $ mobeyectl people import people.csv\n"
    "  $ mobeyectl people remove jansen\n\n"
    "Requires a member of mobeye_owner; remove requires a role that may drop roles, such as that of root or "
    "postgres.\n" CTL_EXIT_HELP;

static const char teams_help[] =
    "Usage: mobeyectl teams import [OPTION]... FILE.csv\n"
    "Imports teams and their areas.\n\n"
    "The CSV file (- for standard input) has the header team,layer,code and one row per area; it is imported\n"
    "completely or not at all. The areas of each team in the file are replaced; a row with only a team is a team\n"
    "without areas. Teams that are not in the file are kept unchanged.\n" CSV_HELP "\n" CSV_DRY_RUN_HELP CTL_COMMON_HELP
    "\nExample:\n"
    "  $ mobeyectl teams import teams.csv\n\n"
    "Requires a member of mobeye_owner.\n" CTL_EXIT_HELP;

static const char *const people_columns[] = {"login", "name", "team"};
static const char *const team_columns[] = {"team", "layer", "code"};

enum { IMPORT, REMOVE };

static const struct ctl_verb team_actions[] = {
    [IMPORT] = {"import", .takes = "dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1}, {0}};
static const struct ctl_verb people_actions[] = {
    [IMPORT] = {"import", .takes = "dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1},
    [REMOVE] = {"remove", .takes = "config db", .argument = "LOGIN", .least = 1, .most = 1},
    {0}};

static const struct texts people = {
    {"people", .help = people_help, .actions = people_actions},
    {people_columns, 3, 3},
    "create temporary table person_import (line bigint, login text, name text, team text) on commit drop",
    "copy pg_temp.person_import from stdin",
    "select i.line, false, format('login: duplicate \"%s\", first used on line %s', i.login, f.line)"
    " from pg_temp.person_import i join lateral (select line from pg_temp.person_import e"
    " where e.login = i.login and e.line < i.line order by 1 limit 1) f on true"
    " union all select line, false, 'login: is too long (expected at most 63 bytes)' from pg_temp.person_import"
    " where octet_length(login) > 63"
    " union all select line, false, 'login: contains control characters' from pg_temp.person_import"
    " where login ~ '[[:cntrl:]]'"
    " union all select line, false, 'name: is too long or contains control characters (expected at most 200 "
    "characters)'"
    " from pg_temp.person_import where length(name) > 200 or name ~ '[[:cntrl:]]'"
    " union all select line, true, format('login: database login \"%s\" does not exist (create role %1$I login in role"
    " mobeye_patrol)', login) from pg_temp.person_import i"
    " where not exists (select from pg_roles r where r.rolname = i.login and r.rolcanlogin)"
    " union all select line, false, format('team: \"%s\" does not exist (mobeyectl teams import creates teams)', "
    "team)"
    " from pg_temp.person_import i where team <> '*' and not exists (select from mobeye.team t where t.team = i.team)"
    " union all select line, true, format('team: is empty, so \"%s\" sees no incidents (use * to see those of all "
    "teams)', "
    "login)"
    " from pg_temp.person_import where team is null",
    "with stored as (insert into mobeye.person as p (login, name, team, all_teams)"
    " select login, name, nullif(team, '*'), coalesce(team = '*', false) from pg_temp.person_import"
    " on conflict (login) do update set name = excluded.name, team = excluded.team, all_teams = excluded.all_teams"
    " where (p.name, p.team, p.all_teams) is distinct from (excluded.name, excluded.team, excluded.all_teams)"
    " returning 1)"
    " select (select count(*) from pg_temp.person_import) as people, (select count(*) from stored) as stored",
    "select * from pg_temp.person_import order by line limit 5",
};

static const struct texts teams = {
    {"teams", .help = teams_help, .actions = team_actions},
    {team_columns, 3, 1},
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
    " union all select line, false, case when layer is null then 'layer: is empty, but code is not'"
    " else 'code: is empty, but layer is not' end from pg_temp.team_import where (layer is null) <> (code is null)"
    " union all select line, true, format('code: area %s does not exist in layer %s yet (mobeyectl areas import)', "
    "code, "
    "layer)"
    " from pg_temp.team_import i where layer is not null and code is not null"
    " and not exists (select from mobeye.area a where a.layer = i.layer and a.code = i.code)",
    "with made as (insert into mobeye.team (team) select distinct team from pg_temp.team_import on conflict do nothing"
    " returning 1),"
    " removed as (delete from mobeye.team_area a where a.team in (select team from pg_temp.team_import)"
    " and not exists (select from pg_temp.team_import i where (i.team, i.layer, i.code) = (a.team, a.layer, a.code))"
    " returning 1),"
    " added as (insert into mobeye.team_area (team, layer, code) select distinct team, layer, code"
    " from pg_temp.team_import where layer is not null on conflict do nothing returning 1)"
    " select (select count(distinct team) from pg_temp.team_import) as teams, (select count(*) from made) as made,"
    " (select count(*) from added) as areas_added, (select count(*) from removed) as areas_removed",
    "select * from pg_temp.team_import order by line limit 5",
};

struct text_import {
    struct import import;
    const struct texts *texts;
};

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct text_import *texts = ctx;
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)line);
    import_cell(&texts->import, str_from(number));
    for (size_t i = 0; i < texts->texts->columns.n; i++)
        import_cell(&texts->import, cells[i]);
    import_end_row(&texts->import);
}

static int import_texts(const struct texts *texts, const struct ctl_call *call, bool dry_run)
{
    uint32_t header = 0;
    struct text_import importing = {.import = {.verb = texts->verb.name,
                                               .file = call->arguments[0],
                                               .call = call,
                                               .first = texts->first,
                                               .dry_run = dry_run},
                                    .texts = texts};
    int status = import_open(&importing.import, texts->stage, texts->copy);
    if (status == CTL_OK)
        status = import_csv(&importing.import, &texts->columns, on_row, &importing, &header);
    if (status == CTL_OK)
        status = import_finish(&importing.import, texts->check, texts->merge, 0, NULL);
    import_close(&importing.import);
    return status;
}

static int remove_person(const struct ctl_call *call)
{
    const char *values[] = {call->arguments[0]};
    PGconn *conn = ctl_connect(people.verb.name, call->file, call->db);
    PGresult *row =
        conn ? ctl_query(conn, people.verb.name, "remove", "select mobeye.remove_person($1)", 1, values) : NULL;
    if (row)
        printf("%s: %s\n", call->arguments[0], PQgetvalue(row, 0, 0));
    int status = row ? CTL_OK : CTL_FAILED;
    PQclear(row);
    PQfinish(conn);
    return status;
}

static int run_import(const struct texts *texts, int argc, char **argv)
{
    bool dry_run = false;
    const struct ctl_option options[] = {{"dry-run", .flag = &dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &texts->verb, options, &call);
    if (status != CTL_GO)
        return status;
    return call.action == REMOVE ? remove_person(&call) : import_texts(texts, &call, dry_run);
}

int ctl_people(int argc, char **argv)
{
    return run_import(&people, argc, argv);
}

int ctl_teams(int argc, char **argv)
{
    return run_import(&teams, argc, argv);
}
