/* Of mobeyectl doctor: PostgreSQL, its settings, the schema and the registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conf/address.h"
#include "ctl/lib/ctl.h"
#include "ctl/operate/doctor.h"
#include "ctl/lib/schema_state.h"

/* Each gives rows of level ('ok', 'warning', 'problem'), text and advice. Where `relation` cannot be read it is left
 * out. */
static const struct {
    const char *check;
    const char *relation;
    const char *sql;
} questions[] = {
    {"role", NULL,
     "select case when pg_is_in_recovery() then 'problem' else 'ok' end,"
     "       case when pg_is_in_recovery() then 'this server is a standby' else 'connected as ' || current_user end,"
     "       'name several hosts, and target_session_attrs=read-write'"},
    {"durability", NULL,
     "select case when off.name = 'fsync' then 'problem' else 'warning' end, 'setting ' || off.name || ' is off', "
     "off.advice"
     "  from (values ('fsync', 'a crash can destroy the database: turn it on'),"
     "               ('full_page_writes', 'a power cut can tear pages; only some file systems prevent that: turn it "
     "on'),"
     "               ('synchronous_commit', 'a crash takes back what was stored last; the journal brings it back as "
     "far as "
     "journal.keep reaches: turn it on'),"
     "               ('data_checksums', 'a failing disk goes unnoticed: pg_checksums --enable while it is stopped'),"
     "               ('autovacuum', 'tables of the daemon are updated all the time: turn it on')) as off(name, advice)"
     " where current_setting(off.name) = 'off'"
     " union all "
     "select 'ok', 'fsync and synchronous_commit are ' || current_setting('synchronous_commit'), null"
     " where current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off'"},
    {"replication", NULL,
     "select case when n = 0 then 'warning' else 'ok' end,"
     "       case when n = 0 then 'there is no standby' else n || ' standbys, '"
     "            || case when current_setting('synchronous_standby_names') = '' then 'asynchronous: what a failover "
     "loses the "
     "journal brings back as far as journal.keep reaches' else 'synchronous' end end,"
     "       'a lost disk is a lost database beyond journal.keep: see high availability in the administrator''s guide'"
     "  from (select count(*) as n from pg_stat_replication) as standby"},
    {"backup", NULL,
     "select case when current_setting('archive_mode') = 'off' then 'warning' else 'ok' end,"
     "       'archive_mode is ' || current_setting('archive_mode'),"
     "       'without archiving, and journal.keep as long as backups are apart, a restore loses alerts'"},
    {"connections", NULL,
     "select case when free < 5 then 'problem' when free < 20 then 'warning' else 'ok' end,"
     "       free || ' connections are free of max_connections ' || current_setting('max_connections'),"
     "       'raise it, or put PgBouncer before the front ends; the daemon needs 3'"
     "  from (select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
     "               - count(*) as free from pg_stat_activity where backend_type = 'client backend') as room"},
    {"timeouts", NULL,
     "select 'warning', name || ' is ' || current_setting(name) || ' for this role',"
     "       'it cuts transactions of the daemon off: alter role mobeye_ingest set ' || name || ' = 0'"
     "  from unnest(array['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) as name"
     " where extract(epoch from current_setting(name)::interval) between 0.001 and 29"},
    {"time", NULL,
     "select case when off > 5 then 'problem' when off > 1 then 'warning' else 'ok' end,"
     "       'the clocks of the database and of this machine are ' || round(off::numeric, 1) || ' s apart',"
     "       'synchronise both: silence and retention are judged by the database''s'"
     "  from (select abs(extract(epoch from clock_timestamp()) - $1::float8) as off) as clocks"},
    {"upkeep", "mobeye.maintenance_state",
     "select case when late or job = 'retention' then 'problem' else 'warning' end,"
     "       job || ' failed: ' || error || coalesce('; it last succeeded at ' || to_char(succeeded_at, 'YYYY-MM-DD "
     "HH24:MI TZ'), '; it has never succeeded'),"
     "       case when job like 'retention%' then 'mend that, then mobeyectl retention; it is kept too long meanwhile'"
     "            else 'the log of the daemon says since when: mend that' end"
     "  from mobeye.maintenance_state where error is not null"
     " union all "
     "select 'problem', 'no daemon does ' || string_agg(job, ', ' order by job),"
     "       'silence, overdue incidents and retention are not looked after: is mobeyed running, and is a session of "
     "it hung (pg_stat_activity)?'"
     "  from mobeye.maintenance_state where error is null and late having count(*) > 0"
     " union all "
     "select case when count(*) = 0 then 'warning' else 'ok' end,"
     "       count(*) || ' jobs succeeded in time', 'no daemon has done its upkeep in this database yet'"
     "  from mobeye.maintenance_state where error is null and not late"
     "  having count(*) > 0 or not exists (select from mobeye.maintenance_state)"},
    {"heartbeats", "mobeye.device",
     "select 'warning', count(*) || ' placed devices have ' || what, advice"
     "  from (select case when d.heartbeat is null then 'no heartbeat'"
     "                    when d.heartbeat + d.grace > upper(p.during) - lower(p.during) then 'a heartbeat longer than "
     "they "
     "stand there'"
     "                    when d.heartbeat + d.grace > interval '8 days' then 'a heartbeat of more than 8 days' end as "
     "what,"
     "               case when d.heartbeat is null then 'they are never found silent: set it to what the device sends'"
     "                    else 'they could be dead all the time: let them send a test message daily' end as advice"
     "          from mobeye.device d join mobeye.placement p on p.device_id = d.device_id and p.during @> now()) as "
     "long"
     " where what is not null group by what, advice"
     " union all "
     "select 'ok', count(*) || ' devices are placed', null from mobeye.placement where during @> now()"},
};

#define N_QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static enum doctor_level level_of(const char *word)
{
    return strcmp(word, "ok") == 0 ? DOCTOR_OK : strcmp(word, "warning") == 0 ? DOCTOR_WARNING : DOCTOR_PROBLEM;
}

static void ask(struct doctor *d, size_t i, const char *now)
{
    if (questions[i].relation && !ctl_readable(d->conn, questions[i].relation)) {
        doctor_say(d, DOCTOR_OK, questions[i].check, NULL, "not looked at: this role may not read %s",
                   questions[i].relation);
        return;
    }
    PGresult *rows =
        PQexecParams(d->conn, questions[i].sql, strstr(questions[i].sql, "$1") ? 1 : 0, NULL, &now, NULL, NULL, 0);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK)
        doctor_say(d, DOCTOR_WARNING, questions[i].check, "mobeyectl doctor --db as a member of mobeye_owner sees more",
                   "the database does not say: %s",
                   PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY) ? PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY)
                                                                     : PQerrorMessage(d->conn));
    for (int row = 0; row < PQntuples(rows); row++) {
        enum doctor_level level = level_of(PQgetvalue(rows, row, 0));
        doctor_say(d, level, questions[i].check, level == DOCTOR_OK ? NULL : PQgetvalue(rows, row, 2), "%s",
                   PQgetvalue(rows, row, 1));
    }
    PQclear(rows);
}

static bool is_local(const char *host)
{
    struct endpoint_address address = {.kind = ADDRESS_TCP};
    if (!host || host[0] == '/' || host[0] == '@' || strcmp(host, "localhost") == 0)
        return true;
    snprintf(address.host, sizeof(address.host), "%s", host);
    return address_is_loopback(&address);
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
    if (is_local(host))
        doctor_say(d, DOCTOR_OK, "tls", NULL, "the database is on this machine");
    else if (!PQsslInUse(d->conn))
        doctor_say(d, DOCTOR_PROBLEM, "tls", "sslmode=verify-full sslrootcert=..., and hostssl in pg_hba.conf",
                   "addresses of homes go to %s in plain text", host);
    else if (!verifies_server(d->conn))
        doctor_say(d, DOCTOR_WARNING, "tls", "sslmode=verify-full sslrootcert=...",
                   "the connection to %s is encrypted, but nobody checks who is there", host);
    else
        doctor_say(d, DOCTOR_OK, "tls", NULL, "the connection to %s is encrypted and checked", host);
}

static void say_schema(struct doctor *d)
{
    int server = PQserverVersion(d->conn) / 10000;
    struct schema_state state;
    if (server < 15)
        doctor_say(d, DOCTOR_PROBLEM, "schema", "15 is the least", "the server is PostgreSQL %d", server);
    if (!ctl_readable(d->conn, "mobeye.schema_version")) {
        doctor_say(d, DOCTOR_PROBLEM, "schema", "mobeyectl migrate, or mobeyectl setup",
                   "there is no schema mobeye in this database, or this role may not see it");
        return;
    }
    if (!schema_state_read(d->conn, "doctor", &state))
        doctor_say(d, DOCTOR_PROBLEM, "schema", "the line before says why", "its state cannot be read");
    else if (schema_is_current(&state))
        doctor_say(d, DOCTOR_OK, "schema", NULL, "version %d, on PostgreSQL %d", state.version, server);
    else if (state.version != schema_latest())
        doctor_say(d, DOCTOR_PROBLEM, "schema",
                   state.version < schema_latest() ? "mobeyectl migrate" : "a newer program was here: use that one",
                   "version %d, and this program wants %d", state.version, schema_latest());
    else
        doctor_say(d, DOCTOR_PROBLEM, "schema",
                   schema_is_newer(&state) ? "a newer program was here: use that one" : "mobeyectl migrate",
                   "functions, views or rights are not those of this program");
    schema_state_free(&state);
}

void doctor_database(struct doctor *d)
{
    if (!d->conn) {
        doctor_say(d, DOCTOR_PROBLEM, "database", "the lines before say why; alerts wait in the journal meanwhile",
                   "it does not answer");
        return;
    }
    char now[32];
    say_schema(d);
    say_tls(d);
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        snprintf(now, sizeof(now), "%.6f", (double)clock_wall_us() / 1e6);
        ask(d, i, now);
    }
}
