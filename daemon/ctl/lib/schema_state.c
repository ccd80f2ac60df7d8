#include "ctl/lib/schema_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "store/migrations.h"

int schema_latest(void)
{
    return migrations[migrations_n - 1].version;
}

static bool read_version(PGconn *conn, const char *verb, int *ret)
{
    *ret = 0;
    if (!ctl_readable(conn, "mobeye.schema_version"))
        return true;
    PGresult *rows =
        ctl_query(conn, verb, "schema version", "select coalesce(max(version), 0) from mobeye.schema_version", 0, NULL);
    if (rows)
        *ret = atoi(PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return rows != NULL;
}

/* The first migration creates them. */
static void read_missing_roles(PGconn *conn, struct schema_state *state)
{
    PGresult *rows = PQexec(
        conn, "select string_agg(name, ', ') from unnest(array['mobeye_owner', 'mobeye_ingest', 'mobeye_patrol', "
              "'mobeye_registry', 'mobeye_auditor', 'mobeye_analyst', 'mobeye_board']) as name "
              "where name not in (select rolname from pg_catalog.pg_roles)");
    if (state->version > 0 && PQntuples(rows) == 1)
        snprintf(state->missing_roles, sizeof(state->missing_roles), "%s", PQgetvalue(rows, 0, 0));
    PQclear(rows);
}

const char *schema_applied_hash(const struct schema_state *state, const char *file)
{
    for (int i = 0; i < PQntuples(state->code); i++)
        if (strcmp(PQgetvalue(state->code, i, 0), file) == 0)
            return PQgetvalue(state->code, i, 1);
    return NULL;
}

static void compare_code(struct schema_state *state)
{
    state->code_differs = PQntuples(state->code) != (int)schema_code_n;
    for (size_t i = 0; i < schema_code_n; i++) {
        const char *hash = schema_applied_hash(state, schema_code[i].file);
        if (!hash || strcmp(hash, schema_code[i].sha256) != 0)
            state->code_differs = true;
    }
    for (int i = 0; i < PQntuples(state->code); i++)
        if (strverscmp(PQgetvalue(state->code, i, 2), state->program) > 0)
            snprintf(state->program, sizeof(state->program), "%s", PQgetvalue(state->code, i, 2));
}

bool schema_state_read(PGconn *conn, const char *verb, struct schema_state *ret)
{
    *ret = (struct schema_state){.code_differs = true};
    if (!read_version(conn, verb, &ret->version))
        return false;
    read_missing_roles(conn, ret);
    if (!ctl_readable(conn, "mobeye.schema_code"))
        return true;
    ret->code =
        ctl_query(conn, verb, "code of the schema", "select file, sha256, program from mobeye.schema_code", 0, NULL);
    if (ret->code)
        compare_code(ret);
    return ret->code != NULL;
}

void schema_state_free(struct schema_state *state)
{
    PQclear(state->code);
    *state = (struct schema_state){0};
}

bool schema_is_current(const struct schema_state *state)
{
    return state->version == schema_latest() && !state->code_differs && !*state->missing_roles;
}

bool schema_is_newer(const struct schema_state *state)
{
    return state->version > schema_latest() || (state->code_differs && strverscmp(state->program, MOBEYE_VERSION) > 0);
}
