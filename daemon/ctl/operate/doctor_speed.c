/* mobeyectl doctor: settings of PostgreSQL that cost speed, where its statistics show that they do. */
#include "base/buf.h"
#include "ctl/operate/doctor.h"

/* Version 17 moved the counts to another view. */
static const char *checkpoints_from(const PGconn *conn)
{
    return PQserverVersion(conn) >= 170000 ? "select num_requested, num_timed from pg_stat_checkpointer"
                                           : "select checkpoints_req, checkpoints_timed from pg_stat_bgwriter";
}

/* Each page that changes after a checkpoint is written to the WAL as a whole. At 6 million alerts stored, with 1GB,
 * that was 400 of 1,000 bytes an alert. */
static void append_checkpoints(const PGconn *conn, struct buf *sql)
{
    buf_printf(sql,
               "with checkpoint (forced, timed) as (%s),"
               " setting as (select current_setting('max_wal_size') as max_wal_size, "
               "pg_size_bytes(current_setting('max_wal_size')) as bytes,"
               "                    current_setting('wal_compression') as compression)"
               "select case when forced >= 10 and forced > timed and bytes < pg_size_bytes('8GB') then 'warning' else "
               "'ok' end,"
               "       forced || ' of ' || forced + timed || ' checkpoints did not wait for their time; max_wal_size "
               "is ' || max_wal_size"
               "       || ', wal_compression ' || compression,"
               "       'alerts come faster than max_wal_size allows for, and after each checkpoint every page is "
               "logged in full again: '"
               "       || 'set max_wal_size = ''8GB''' || case when compression = 'off' then ' and wal_compression = "
               "on' else '' end"
               "  from checkpoint, setting",
               checkpoints_from(conn));
}

static const char memory_sql[] =
    "select case when blks_read > 100000 and blks_read > 0.02 * (blks_read + blks_hit)"
    "                 and pg_size_bytes(current_setting('shared_buffers')) < pg_size_bytes('1GB') then 'warning' else "
    "'ok' end,"
    "       round(100.0 * blks_hit / greatest(blks_read + blks_hit, 1), 1) || ' % of the pages were in shared_buffers, "
    "which is '"
    "       || current_setting('shared_buffers'),"
    "       'the working set does not fit: set shared_buffers to a quarter of the memory, and restart the server'"
    "  from pg_stat_database where datname = current_database()";

void doctor_speed(struct doctor *d)
{
    struct buf checkpoints = {0};
    append_checkpoints(d->conn, &checkpoints);
    doctor_ask(d, "checkpoints", checkpoints.data);
    doctor_ask(d, "memory", memory_sql);
    buf_free(&checkpoints);
}
