/* The database backend: the temporary database of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/rules/scenario_database.h"
#include "store/conninfo.h"

/* Shifts every time that alerts and maintenance have written. Placements and devices are rewritten instead. */
static const char shift_function[] =
    "create function pg_temp.shift(by interval) returns void language plpgsql as $$\n"
    "declare one text;\n"
    "begin\n"
    "    set local session_replication_role = replica;\n"
    "    for one in\n"
    "        select format('update mobeye.%I set %s', t.relname,\n"
    "                      string_agg(format('%1$I = %1$I + $1', a.attname), ', '))\n"
    "          from pg_class t join pg_attribute a on a.attrelid = t.oid\n"
    "         where t.relname in ('alert', 'incident', 'incident_condition', 'device_status', 'endpoint_status', "
    "'daemon')\n"
    "           and t.relnamespace = 'mobeye'::regnamespace and a.atttypid = 'timestamptz'::regtype\n"
    "           and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''\n"
    "         group by t.relname\n"
    "    loop\n"
    "        execute one using by;\n"
    "    end loop;\n"
    "    set local session_replication_role = origin;\n"
    "end $$";

static int fail_sql(PGconn *conn, const char *what, PGresult *result, struct err *err)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!text)
        text = PQerrorMessage(conn);
    err_set(err, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
    PQclear(result);
    return -1;
}

PGresult *server_query(PGconn *conn, const char *what, const char *sql, int n, const char *const *values,
                       struct err *err)
{
    PGresult *result = n ? PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0) : PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    fail_sql(conn, what, result, err);
    return NULL;
}

int server_run(PGconn *conn, const char *what, const char *sql, int n, const char *const *values, struct err *err)
{
    PGresult *result = server_query(conn, what, sql, n, values, err);
    PQclear(result);
    return result ? 0 : -1;
}

static PGconn *connect_to(const char *conninfo, struct err *err)
{
    if (conninfo_check(conninfo, err) != 0) /* libpq's message may quote a part of a password */
        return NULL;
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    err_set(err, "%.*s", (int)strcspn(PQerrorMessage(conn), "\n"), PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

void database_close_server(void *arg)
{
    struct scenario_server *server = arg;
    char sql[128];
    if (!server)
        return;
    PQfinish(server->conn);
    if (server->admin && server->name[0]) {
        snprintf(sql, sizeof(sql), "drop database if exists %s with (force)", server->name);
        PQclear(PQexec(server->admin, sql));
    }
    PQfinish(server->admin);
    free(server->conninfo);
    free(server);
}

static int make_database(struct scenario_server *server, const char *where, struct err *err)
{
    char sql[128];
    struct buf conninfo = {0};
    snprintf(server->name, sizeof(server->name), "mobeye_scenario_%d", (int)getpid());
    snprintf(sql, sizeof(sql), "create database %s encoding 'UTF8' template template0", server->name);
    if (server_run(server->admin, "create a database", sql, 0, NULL, err) < 0) {
        server->name[0] = '\0';
        return -1;
    }
    if (conninfo_for_database(&conninfo, where, server->name) < 0)
        return err_set(err, "not a valid connection string");
    buf_append(&conninfo, "", 1);
    server->conn = connect_to(conninfo.data, err);
    conninfo.len--;
    buf_printf(&conninfo, " options='-c role=mobeye_ingest'");
    server->conninfo = conninfo.data;
    if (!server->conn)
        return -1;
    if (ctl_migrate_schema(server->conn, true) != CTL_OK)
        return err_set(err, "cannot create the schema");
    return server_run(server->conn, "prepare the database", shift_function, 0, NULL, err);
}

int database_open_server(void **ret_server, const char *where, struct err *err)
{
    struct scenario_server *server = mem_zalloc(sizeof(*server));
    log_open(LOG_LEVEL_ERROR);
    server->admin = connect_to(where, err);
    if (!server->admin || make_database(server, where, err) < 0) {
        database_close_server(server);
        return -1;
    }
    *ret_server = server;
    return 0;
}
