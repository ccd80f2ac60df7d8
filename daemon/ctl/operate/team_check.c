#include "ctl/operate/team_check.h"

#include <stdbool.h>
#include <string.h>

#include "base/nearest.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"

static int refuse_team(const char *verb, const char *team, const PGresult *teams)
{
    const char *nearest = nearest_word(team, ctl_name_of_row, teams);
    struct buf all = {0};
    const char *name;
    for (size_t i = 0; (name = ctl_name_of_row(teams, i)); i++)
        buf_printf(&all, "%s%s", i > 0 ? ", " : "", name);
    int status = nearest ? ctl_usage(verb, "--team: \"%s\" is not a team (did you mean %s?)", team, nearest)
                 : all.len == 0
                     ? ctl_usage(verb, "--team: \"%s\" is not a team (there are none)", team)
                     : ctl_usage(verb, "--team: \"%s\" is not a team (expected %.*s)", team, (int)all.len, all.data);
    buf_free(&all);
    return status;
}

int team_check(const char *verb, PGconn *conn, const char *team)
{
    if (!team)
        return CTL_GO;
    PGresult *teams =
        ctl_query(conn, verb, "cannot read the teams", "select team from patrol.teams order by 1", 0, NULL);
    const char *name;
    bool known = false;
    for (size_t i = 0; teams && !known && (name = ctl_name_of_row(teams, i)); i++)
        known = strcmp(name, team) == 0;
    int status = known ? CTL_GO : teams ? refuse_team(verb, team, teams) : CTL_FAILED;
    PQclear(teams);
    return status;
}
