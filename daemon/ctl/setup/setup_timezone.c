/* mobeyectl setup: the time zone of the database, in which people see times. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/schema.h"
#include "ctl/lib/ctl.h"
#include "ctl/setup/setup.h"

#define PRESENT                                                                                                        \
    "select substr(c, 10) from pg_db_role_setting g join pg_database d on d.oid = g.setdatabase, unnest(g.setconfig) " \
    "c "                                                                                                               \
    "where g.setrole = 0 and d.datname = $1 and c ilike 'timezone=%'"

/* The time zone of the configuration, or the default if a dry run has not created it. */
static char *wanted_zone(const struct setup *s)
{
    struct conf *conf = access(s->daemon.file, F_OK) == 0 ? ctl_load(s->daemon.file) : NULL;
    char *zone = mem_strdup(conf ? conf->timezone : schema_find("", "timezone")->fallback);
    conf_free(&conf);
    return zone;
}

static int set_zone(struct setup *s, const char *zone)
{
    struct buf sql = {0};
    char *name = PQescapeIdentifier(s->conn, s->database, strlen(s->database));
    char *literal = PQescapeLiteral(s->conn, zone, strlen(zone));
    buf_printf(&sql, "alter database %s set timezone = %s", name, literal);
    bool done = s->dry_run || setup_run(s->conn, "time zone", sql.data);
    PQfreemem(name);
    PQfreemem(literal);
    buf_free(&sql);
    if (done)
        setup_did(s, "set the time zone of the database to %s, for all who connect from now on", zone);
    return done ? CTL_OK : CTL_FAILED;
}

int setup_timezone(struct setup *s)
{
    char *zone = wanted_zone(s), *present = ctl_query_text(s->conn, PRESENT, s->database);
    int status = CTL_OK;
    if (present && strcmp(present, zone) == 0)
        setup_is(s, "the time zone of the database is %s", zone);
    else
        status = set_zone(s, zone);
    free(present);
    free(zone);
    return status;
}
