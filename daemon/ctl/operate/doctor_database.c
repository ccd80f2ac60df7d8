/* mobeyectl doctor: PostgreSQL, its settings, the schema and the registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "ctl/lib/connect.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/schema_state.h"
#include "ctl/operate/doctor.h"

/* Each query returns rows of level ('ok', 'warning', 'problem'), text and advice. It is skipped if `relation` cannot be
 * read. */
static const struct {
    const char *check;
    const char *relation;
    const char *sql;
} questions[] = {
    {"role", NULL,
     "select case when current_setting('transaction_read_only') = 'on' then 'problem' else 'ok' end,"
     "       case when pg_is_in_recovery() then 'this server is a standby'"
     "            when current_setting('transaction_read_only') = 'on' then 'nothing can be stored: sessions are "
     "read-only "
     "(default_transaction_read_only)' else 'connected as ' || current_user end,"
     "       case when pg_is_in_recovery() then 'list several hosts in conninfo, with target_session_attrs=read-write'"
     "            else 'turn default_transaction_read_only off, for the server, the database or the role' end"},
    {"owner", NULL,
     "select 'problem', case when to_regrole('mobeye_ingest') is null then 'role mobeye_ingest does not exist'"
     "                       else 'schema ' || n.nspname || ' belongs to ' || n.nspowner::regrole end,"
     "       'if a role was renamed, rename it back; if the dump was restored without its roles: restore the roles "
     "(psql -f ROLES), then the dump into a new database'"
     "  from pg_namespace n where n.nspname in ('mobeye', 'patrol')"
     "   and (to_regrole('mobeye_ingest') is null or n.nspowner is distinct from to_regrole('mobeye_owner')::oid)"},
    {"durability", NULL,
     "select case when off.name = 'fsync' then 'problem' else 'warning' end, 'setting ' || off.name || ' is off', "
     "off.advice"
     "  from (values ('fsync', 'a crash can destroy the database: turn it on'),"
     "               ('full_page_writes', 'a power cut can corrupt pages on most file systems: turn it on'),"
     "               ('synchronous_commit', 'a crash loses what people and programs have just done (the daemon and the "
     "board "
     "turn it on for themselves): turn it on'),"
     "               ('data_checksums', 'a failing disk goes unnoticed: pg_checksums --enable while the server is "
     "stopped'),"
     "               ('autovacuum', 'the daemon updates its tables continuously: turn it on')) as off(name, advice)"
     " where current_setting(off.name) = 'off'"
     " union all "
     "select 'ok', 'fsync and synchronous_commit are ' || current_setting('synchronous_commit'), null"
     " where current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off'"},
    {"replication", NULL,
     "select case when n = 0 then 'warning' else 'ok' end,"
     "       case when n = 0 then 'no standby is connected' else n || case n when 1 then ' standby, ' else ' standbys, "
     "' end"
     "            || case when current_setting('synchronous_standby_names') = '' then 'asynchronous: the journal "
     "restores what a failover loses, as far back as journal.keep' else 'synchronous' end end,"
     "       'if the disk fails, data older than journal.keep is lost: see high availability in the administrator''s "
     "guide'"
     "  from (select count(*) as n from pg_stat_replication) as standby"},
    {"backup", NULL,
     "select case when current_setting('archive_mode') = 'off' then 'warning' else 'ok' end,"
     "       'archive_mode is ' || current_setting('archive_mode'),"
     "       'enable archiving, or set journal.keep to at least the interval between backups; otherwise a restore "
     "loses "
     "alerts'"},
    {"connections", NULL,
     "select case when free < 5 then 'problem' when free < 20 then 'warning' else 'ok' end,"
     "       free || ' of ' || current_setting('max_connections') || ' connections (max_connections) are free',"
     "       'raise max_connections, or put PgBouncer before the front ends; the daemon needs 4, the board 5'"
     "  from (select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
     "               - count(*) as free from pg_stat_activity where backend_type = 'client backend') as room"},
    {"time", NULL,
     "select case when off > 5 then 'problem' when off > 1 then 'warning' else 'ok' end,"
     "       'the clocks of the database and of this machine are ' || round(off::numeric, 1) || ' s apart',"
     "       'synchronise both: silence and retention depend on the clock of the database'"
     "  from (select abs(extract(epoch from clock_timestamp()) - $1::float8) as off) as clocks"},
    {"maintenance", "mobeye.maintenance_state",
     "select case when late or job = 'retention' then 'problem' else 'warning' end,"
     "       job || ' failed: ' || error || coalesce('; it last succeeded at ' || to_char(succeeded_at, 'YYYY-MM-DD "
     "HH24:MI TZ'), '; it has never succeeded'),"
     "       case when job like 'retention%' then 'correct the cause, then run mobeyectl retention; until then data is "
     "kept too long'"
     "            else 'correct the cause; see the log of the daemon' end"
     "  from mobeye.maintenance_state where error is not null"
     " union all "
     "select 'problem', 'no daemon runs ' || string_agg(job, ', ' order by job),"
     "       'silence, overdue incidents and retention are not handled: check that mobeyed is running and that none of "
     "its sessions hangs (pg_stat_activity)'"
     "  from mobeye.maintenance_state where error is null and late having count(*) > 0"
     " union all "
     "select case when count(*) = 0 then 'warning' else 'ok' end,"
     "       count(*) || case count(*) when 1 then ' job' else ' jobs' end || ' succeeded in time', 'no daemon has run "
     "maintenance in this database yet'"
     "  from mobeye.maintenance_state where error is null and not late"
     "  having count(*) > 0 or not exists (select from mobeye.maintenance_state)"},
    {"quarantine", "mobeye.quarantine",
     "select 'problem', count(*) || case count(*) when 1 then ' alert is' else ' alerts are' end || ' in quarantine: "
     "refused by the database, and not released yet', 'mobeyectl quarantine list shows them'"
     "  from mobeye.quarantine having count(*) > 0"},
    /* As mobeye.judged_until(): what the journal of one that is away still holds may end a silence. */
    {"silence", "mobeye.daemon",
     "select 'warning', 'nobody is found silent after ' || to_char(applied_until, 'YYYY-MM-DD HH24:MI TZ') || ': "
     "daemon ' || instance"
     "         || ' last reported at ' || to_char(alive_at, 'YYYY-MM-DD HH24:MI TZ'),"
     "       format('start it; if its journal is gone or empty for good: delete from mobeye.daemon where journal = %L "
     "(else a day later "
     "silence is judged without it)', journal)"
     "  from mobeye.daemon where alive_at between now() - interval '1 day' and now() - interval '5 minutes'"},
    {"devices", "mobeye.device_unknown",
     "select case when count(*) = 0 then 'ok' else 'warning' end,"
     "       case count(*) when 0 then 'every sender is registered'"
     "                     else count(*) || case count(*) when 1 then ' sender is' else ' senders are' end"
     "                          || ' not registered, the latest ' || (array_agg(device_id order by last_received_at "
     "desc))[1] end,"
     "       'alerts of such senders have neither an address nor a team: mobeyectl devices unknown lists them'"
     "  from mobeye.device_unknown where source <> '" CTL_DRILL_SOURCE "'"},
    {"heartbeats", "mobeye.device",
     "select level, count(*) || ' placed ' || noun || case count(*) when 1 then ' has ' else 's have ' end || what, "
     "advice"
     "  from (select case when covered then 'ok' else 'warning' end as level,"
     "               case when covered then 'camera' else 'device' end as noun,"
     "               case when covered then 'no heartbeat; the bridge reports when their server is offline, but not "
     "when "
     "one of them fails'"
     "                    when d.heartbeat is null then 'no heartbeat'"
     "                    when d.heartbeat + d.grace > d.for_long then 'a heartbeat longer than their placement'"
     "                    when d.heartbeat + d.grace > interval '8 days' then 'a heartbeat of more than 8 days' end as "
     "what,"
     "               case when d.heartbeat is null then 'their silence is never detected: set it to the interval of "
     "their messages'"
     "                    else 'a failure would not be noticed: have them send a test message daily' end as advice"
     "          from (select d.heartbeat, d.grace, upper(p.during) - lower(p.during) as for_long,"
     /* What a camera server sees comes through its bridge, which reports if the server is gone. */
     "                       d.heartbeat is null"
     "                       and coalesce(s.source like '/frigate/%', d.device_group = 'camera') as covered"
     "                  from mobeye.device d join mobeye.placement p on p.device_id = d.device_id and p.during @> now()"
     "                  left join mobeye.device_status s on s.device_id = d.device_id) as d) as found"
     " where what is not null group by level, noun, what, advice"
     " union all "
     "select 'ok', count(*) || case count(*) when 1 then ' device is' else ' devices are' end || ' placed', null"
     "  from mobeye.placement where during @> now()"},
};

#define N_QUESTIONS ARRAY_LEN(questions)

static enum doctor_level level_of(const char *word)
{
    return strcmp(word, "ok") == 0 ? DOCTOR_OK : strcmp(word, "warning") == 0 ? DOCTOR_WARNING : DOCTOR_PROBLEM;
}

const char *doctor_query_error(const PGconn *conn, const PGresult *result)
{
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return primary ? primary : PQerrorMessage(conn); /* of libpq itself, such as a lost connection */
}

void doctor_ask(struct doctor *d, const char *check, const char *sql)
{
    char now[32];
    const char *value = now;
    snprintf(now, sizeof(now), "%.6f", (double)clock_wall_us() / 1e6);
    PGresult *rows = PQexecParams(d->conn, sql, strstr(sql, "$1") ? 1 : 0, NULL, &value, NULL, NULL, 0);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK)
        doctor_say(d, DOCTOR_WARNING, check, "run mobeyectl doctor --db as a member of mobeye_owner",
                   "the query failed: %s", doctor_query_error(d->conn, rows));
    for (int row = 0; row < PQntuples(rows); row++) {
        enum doctor_level level = level_of(PQgetvalue(rows, row, 0));
        doctor_say(d, level, check, level == DOCTOR_OK ? NULL : PQgetvalue(rows, row, 2), "%s",
                   PQgetvalue(rows, row, 1));
    }
    PQclear(rows);
}

static void run_check(struct doctor *d, size_t i)
{
    if (questions[i].relation && !ctl_readable(d->conn, questions[i].relation))
        doctor_say_unread(d, d->conn, questions[i].check, questions[i].relation);
    else
        doctor_ask(d, questions[i].check, questions[i].sql);
}

static bool verifies_server(const PGconn *conn)
{
    bool verifies = false;
    PQconninfoOption *options = PQconninfo((PGconn *)conn);
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (strcmp(o->keyword, "sslmode") == 0 && o->val)
            verifies = strcmp(o->val, "verify-full") == 0;
    PQconninfoFree(options);
    return verifies;
}

static void say_tls(struct doctor *d)
{
    const char *host = PQhost(d->conn);
    if (connect_is_local_host(host))
        doctor_say(d, DOCTOR_OK, "tls", NULL, "the database is on this machine");
    else if (!PQsslInUse(d->conn))
        doctor_say(d, DOCTOR_PROBLEM, "tls", "set sslmode=verify-full sslrootcert=..., and hostssl in pg_hba.conf",
                   "addresses of homes are sent to %s in plain text", host);
    else if (!verifies_server(d->conn))
        doctor_say(d, DOCTOR_WARNING, "tls", "set sslmode=verify-full sslrootcert=...",
                   "the connection to %s is encrypted, but the server's certificate is not verified", host);
    else
        doctor_say(d, DOCTOR_OK, "tls", NULL, "the connection to %s is encrypted and verified", host);
}

static void say_timezone(struct doctor *d)
{
    PGresult *rows = PQexec(d->conn, "select reset_val from pg_settings where name = 'TimeZone'");
    const char *zone = PQntuples(rows) == 1 ? PQgetvalue(rows, 0, 0) : "unknown";
    if (!d->conf || strcmp(zone, d->conf->timezone) == 0)
        doctor_say(d, DOCTOR_OK, "time zone", NULL, "times are shown in time zone %s", zone);
    else
        doctor_say(d, DOCTOR_WARNING, "time zone",
                   "run mobeyectl setup, or alter database ... set timezone; a role may have one of its own",
                   "times are shown in time zone %s, but the configuration says %s", zone, d->conf->timezone);
    PQclear(rows);
}

static void say_schema(struct doctor *d)
{
    int server = PQserverVersion(d->conn) / 10000;
    struct schema_state state;
    if (server < 15)
        doctor_say(d, DOCTOR_PROBLEM, "schema", "upgrade the server",
                   "PostgreSQL 15 or later is required; the server is %d", server);
    if (!ctl_readable(d->conn, "mobeye.schema_version")) {
        doctor_say(d, DOCTOR_PROBLEM, "schema", "run mobeyectl migrate or mobeyectl setup",
                   "this database has no schema mobeye, or this role may not read it");
        return;
    }
    if (!schema_state_read(d->conn, "doctor", &state))
        doctor_say(d, DOCTOR_PROBLEM, "schema", "see the error above", "the state of the schema cannot be read");
    else if (*state.missing_roles)
        doctor_say(d, DOCTOR_PROBLEM, "schema", CTL_ROLE_MISSING, "a role of mobeyed is missing: %s",
                   state.missing_roles);
    else if (schema_is_current(&state))
        doctor_say(d, DOCTOR_OK, "schema", NULL, "version %d, on PostgreSQL %d", state.version, server);
    else if (state.version != schema_latest())
        doctor_say(d, DOCTOR_PROBLEM, "schema",
                   state.version < schema_latest() ? "run mobeyectl migrate"
                                                   : "a newer program upgraded it: use that version",
                   "version %d, but this program requires %d", state.version, schema_latest());
    else
        doctor_say(d, DOCTOR_PROBLEM, "schema",
                   schema_is_newer(&state) ? "a newer program upgraded it: use that version" : "run mobeyectl migrate",
                   "functions, views or rights are not those of this program");
    schema_state_free(&state);
}

/* Neither connection. */
static void say_unseen(struct doctor *d)
{
    struct buf own = {0};
    struct err err = {""};
    const char *file = d->conf->file, *conninfo = d->conf->database.conninfo;
    char *complete = connect_complete(CONNECT_DAEMON_USER, file, conninfo);
    bool tried = connect_check(CONNECT_DAEMON_USER, file, conninfo, &err) == 0 && connect_own(&own, complete, &err);
    if (tried)
        doctor_say(d, DOCTOR_WARNING, "database",
                   geteuid() == 0 ? "start the daemon and run doctor again, or use --db" : "run doctor as root",
                   "not checked: %s, and the server refuses your own role", d->unseen);
    else
        doctor_say(d, DOCTOR_WARNING, "database",
                   geteuid() == 0 ? "correct that, or use --db" : "run doctor as root, or use --db",
                   "not checked: %s, and your own role was not tried: %s", d->unseen, err.text);
    buf_free(&own);
    free(complete);
}

void doctor_database(struct doctor *d)
{
    if (!d->conn && d->unseen) {
        say_unseen(d);
        return;
    }
    if (!d->conn) {
        doctor_say(d, DOCTOR_PROBLEM, "database", "bring it back, or correct the conninfo; alerts wait in the journal",
                   "cannot connect: %.*s", (int)d->conn_why.len, d->conn_why.p);
        return;
    }
    if (d->unseen)
        doctor_say(d, DOCTOR_OK, "database", NULL, "not checked: %s; what follows is seen by %s", d->unseen,
                   PQuser(d->conn));
    say_schema(d);
    say_tls(d);
    say_timezone(d);
    for (size_t i = 0; i < N_QUESTIONS; i++)
        run_check(d, i);
    doctor_speed(d);
}
