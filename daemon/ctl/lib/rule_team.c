#include "ctl/lib/rule_team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "ctl/lib/ctl.h"

static bool is_registered(const PGresult *teams, struct str team)
{
    const char *name;
    for (size_t i = 0; (name = ctl_name_of_row(teams, i)); i++)
        if (str_is(team, name))
            return true;
    return false;
}

void rule_team_check(PGconn *conn, struct str rule, struct str team, struct buf *out)
{
    if (team.len == 0 || !ctl_readable(conn, "mobeye.team"))
        return;
    PGresult *teams = PQexec(conn, "select team from mobeye.team order by 1");
    if (PQresultStatus(teams) == PGRES_TUPLES_OK && !is_registered(teams, team)) {
        char *word = mem_strndup(team.p, team.len);
        buf_printf(out, "rule %.*s names team %s, which does not exist%s", (int)rule.len, rule.p, word,
                   nearest_hint(word, ctl_name_of_row, teams).text);
        free(word);
    }
    PQclear(teams);
}

void rule_team_warn(const char *verb, PGconn *conn, const struct conf *conf)
{
    for (size_t i = 0; i < conf->n_rules; i++) {
        struct buf why = {0};
        if (conf->rules[i].makes_incident)
            rule_team_check(conn, conf->rules[i].terms.rule, conf->rules[i].terms.team, &why);
        if (why.len > 0)
            fprintf(stderr, "mobeyectl %s: %.*s: its incidents get the team of their place\n", verb, (int)why.len,
                    why.data);
        buf_free(&why);
    }
}
