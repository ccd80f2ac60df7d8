/* mobeyectl people: the people who handle incidents. */
#include <stdio.h>
#include <string.h>

#include "ctl/registry/import.h"
#include "ctl/registry/make_logins.h"
#include "ctl/registry/registry_verb.h"
#include "ctl/registry/text_import.h"

#define VERB "people"

static const char help[] =
    "Usage: mobeyectl people import [OPTION]... FILE.csv\n"
    "       mobeyectl people list [OPTION]...\n"
    "       mobeyectl people show [OPTION]... LOGIN\n"
    "       mobeyectl people export [OPTION]...\n"
    "       mobeyectl people remove [OPTION]... LOGIN\n"
    "Imports, lists, shows, exports or removes the people who handle incidents.\n\n"
    "import adds and changes people from a CSV file (- for standard input) with the header login,name,team,\n"
    "completely or not at all. People who are not in the file are kept. The team must exist (mobeyectl teams import);\n"
    "team * is a control room, which sees the incidents of all teams; a person without a team sees none. No database\n"
    "login is created; if one is missing, its line is printed with a warning, unless --make-logins creates it and\n"
    "prints its password once.\n"
    "export prints all people as CSV, which import accepts.\n"
    "remove removes a person, the database login with its rights, and its live sessions; what is assigned to them is\n"
    "released.\n" CSV_HELP "\n" CSV_DRY_RUN_HELP
    "      --make-logins      import: create the missing database logins, as members of mobeye_patrol, and print\n"
    "                         their passwords\n" CTL_COMMON_HELP "\nExamples:\n"
    "  $ mobeyectl people import people.csv\n"
    "  $ mobeyectl people remove jansen\n\n"
    "Requires a member of mobeye_owner; remove and --make-logins require a role that may create and drop roles,\n"
    "such as that of root or postgres.\n" CTL_EXIT_HELP;

static const char *const people_columns[] = {"login", "name", "team"};

static const struct text_import import = {
    .verb = VERB,
    {people_columns, 3, 3},
    NULL,
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
    " union all select line, false, format('login: \"%s\" is reserved by PostgreSQL (expected another name)', login)"
    " from pg_temp.person_import where login in ('public', 'none') or starts_with(login, 'pg_')"
    " union all select line, false, format('login: \"%s\" is the login of a program (expected that of a person)', "
    "login)"
    " from pg_temp.person_import where mobeye.is_program_login(login)"
    " union all select line, true, format('login: \"%s\" is a superuser, who sees and may do everything, whatever the "
    "team',"
    " login) from pg_temp.person_import i join pg_roles r on r.rolname = i.login and r.rolsuper"
    " union all select line, true, case when r.rolname is null"
    " then format('login: database login \"%s\" does not exist (create role %1$I login in role mobeye_patrol)', login)"
    " else format('login: role \"%s\" may not log in (alter role %1$I login; grant mobeye_patrol to %1$I)', login) end"
    " from pg_temp.person_import i left join pg_roles r on r.rolname = i.login where r.rolcanlogin is not true"
    " and login not in ('public', 'none') and not starts_with(login, 'pg_')"
    " union all select line, false, format('team: \"%s\" does not exist (%s)', i.team, coalesce('did you mean ' || "
    "meant"
    " || '?', 'mobeyectl teams import creates teams'))"
    " from pg_temp.person_import i join mobeye.unknown_teams((select array_agg(distinct team) from "
    "pg_temp.person_import"
    " where team <> '*')) t on t.team = i.team"
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
    false,
};

#define PERSON                                                                                                         \
    "select p.login, p.name, case when p.all_teams then '*' else p.team end as team, exists (select from pg_roles r"   \
    " where r.rolname = p.login and r.rolcanlogin) as has_login from mobeye.person p"

static const struct registry_query list = {PERSON " order by 1", 0, NULL};
static const struct registry_query export = {
    "select login, name, case when all_teams then '*' else team end as team from mobeye.person order by 1", 0, NULL};

static const struct registry_section sections[] = {
    {"person", false, PERSON " where p.login = $1"},
    {"roles", true,
     "select g.rolname as role from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid ="
     " m.member where r.rolname = $1 and g.rolname like 'mobeye\\_%' order by 1"},
    {"open_incidents", true,
     "select reference, status, priority, kind, device_id from patrol.incidents where assigned_to = $1 and status <>"
     " 'closed' order by 1"},
    {0}};

static const char exists_sql[] = "select from mobeye.person where login = $1";
static const char names_sql[] = "select login from mobeye.person";

static int show_person(const struct ctl_call *call)
{
    const char *login = call->arguments[0];
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    int status = conn && registry_exists(VERB, conn, "person", login, exists_sql, names_sql)
                     ? registry_show(VERB, conn, call->json, sections, 1, &login)
                     : CTL_FAILED;
    PQfinish(conn);
    return status;
}

/* Ends the sessions that began while the login was being removed: until the commit the server admits it. oid: of its
 * former role. */
static int end_later_sessions(PGconn *conn, const char *login, const char *oid)
{
    PGresult *row = ctl_query(conn, VERB, "remove",
                              "select count(*) filter (where pg_terminate_backend(pid, 5000)) from pg_stat_activity"
                              " where usesysid = $1::oid and pid <> pg_backend_pid()",
                              1, &oid);
    if (row && strcmp(PQgetvalue(row, 0, 0), "0") != 0)
        printf("%s: %s more session%s ended\n", login, PQgetvalue(row, 0, 0),
               strcmp(PQgetvalue(row, 0, 0), "1") == 0 ? "" : "s");
    int status = row ? CTL_OK : CTL_FAILED;
    PQclear(row);
    return status;
}

static int remove_person(const struct ctl_call *call)
{
    const char *login = call->arguments[0];
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    PGresult *role =
        conn ? ctl_query(conn, VERB, "remove", "select oid from pg_roles where rolname = $1", 1, &login) : NULL;
    PGresult *row =
        role && registry_exists(VERB, conn, "person", login,
                                "select from mobeye.person where login = $1 union all select from pg_roles where"
                                " rolname = $1",
                                names_sql)
            ? ctl_query(conn, VERB, "remove", "select mobeye.remove_person($1)", 1, &login)
            : NULL;
    if (row)
        printf("%s: %s\n", login, PQgetvalue(row, 0, 0));
    int status = row ? CTL_OK : CTL_FAILED;
    if (row && PQntuples(role) > 0 && strstr(PQgetvalue(row, 0, 0), " ended"))
        status = end_later_sessions(conn, login, PQgetvalue(role, 0, 0));
    PQclear(row);
    PQclear(role);
    PQfinish(conn);
    return status;
}

static int import_people(const struct ctl_call *call, bool dry_run, bool make)
{
    int status = text_import_run(&import, call, dry_run, make ? make_logins : NULL, make ? make_logins_print : NULL);
    make_logins_end(status == CTL_OK && !dry_run);
    return status;
}

enum { IMPORT, LIST, SHOW, EXPORT, REMOVE };

static const struct ctl_verb actions[] = {
    [IMPORT] = {"import", .takes = "dry-run make-logins config db json", .argument = "FILE.csv", .least = 1, .most = 1},
    [LIST] = {"list", .takes = "config db json"},
    [SHOW] = {"show", .takes = "config db json", .argument = "LOGIN", .least = 1, .most = 1},
    [EXPORT] = {"export", .takes = "config db"},
    [REMOVE] = {"remove", .takes = "config db", .argument = "LOGIN", .least = 1, .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_people(int argc, char **argv)
{
    bool dry_run = false, make = false;
    const struct ctl_option options[] = {{"dry-run", .flag = &dry_run}, {"make-logins", .flag = &make}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    switch (call.action) {
    case IMPORT:
        return import_people(&call, dry_run, make);
    case LIST:
        return registry_list(VERB, &call, &list);
    case SHOW:
        return show_person(&call);
    case EXPORT:
        return registry_export(VERB, &call, &export);
    default:
        return remove_person(&call);
    }
}
