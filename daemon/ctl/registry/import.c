#include "ctl/registry/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/lib/local_zone.h"
#include "ctl/lib/table.h"
#include "ctl/registry/csv_decode.h"

enum { CHUNK_BYTES = 65536 };

static bool check_result(const struct import *import, const char *what, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN)
        return true;
    ctl_fail_sql(import->verb, what, result);
    return false;
}

static bool run_sql(const struct import *import, const char *what, const char *sql)
{
    PGresult *result = PQexec(import->conn, sql);
    bool done = check_result(import, what, result);
    PQclear(result);
    return done;
}

int import_open(struct import *import, const char *stage, const char *copy)
{
    import->conn = ctl_connect(import->verb, import->call->file, import->call->db);
    if (import->conn && import->local_times && local_zone_set(import->verb, import->call, import->conn) != CTL_OK)
        return CTL_FAILED;
    bool open = import->conn && run_sql(import, "session", "set client_min_messages = warning") &&
                run_sql(import, "begin", "begin isolation level read committed read write") &&
                run_sql(import, "prepare", stage) && run_sql(import, "copy", copy);
    return open ? CTL_OK : CTL_FAILED;
}

static int send_rows(struct import *import)
{
    if (import->rows.len > 0 && PQputCopyData(import->conn, import->rows.data, (int)import->rows.len) != 1)
        return ctl_fail(import->verb, "lost the connection to the database: %s", PQerrorMessage(import->conn));
    import->rows.len = 0;
    return CTL_OK;
}

/* The escape sequence that COPY needs for the character; NULL: none. */
static const char *escaped(char c)
{
    switch (c) {
    case '\\':
        return "\\\\";
    case '\t':
        return "\\t";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    default:
        return NULL;
    }
}

void import_cell(struct import *import, struct str text)
{
    struct buf *rows = &import->rows;
    if (rows->len > 0 && rows->data[rows->len - 1] != '\n')
        buf_append(rows, "\t", 1);
    if (text.len == 0)
        buf_append(rows, "\\N", 2);
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *escape = escaped(text.p[i]);
        if (!escape)
            continue;
        buf_append(rows, text.p + from, i - from);
        buf_append(rows, escape, 2);
        from = i + 1;
    }
    if (text.len > from)
        buf_append(rows, text.p + from, text.len - from);
}

void import_end_row(struct import *import)
{
    buf_append(&import->rows, "\n", 1);
}

static unsigned long chunks_of(off_t bytes)
{
    return ((unsigned long)bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

static int read_fd(struct import *import, int fd, bool (*feed)(void *, const char *, size_t), void *ctx)
{
    char bytes[CHUNK_BYTES];
    struct stat info;
    unsigned long total = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? chunks_of(info.st_size) : 0, done = 0;
    int status = CTL_OK;
    bool more = true;
    import->whole = true;
    while (more && status == CTL_OK) {
        ssize_t len = read(fd, bytes, sizeof(bytes));
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return ctl_fail(import->verb, "%s: %s", import->file, strerror(errno));
        import->whole = len == 0 || feed(ctx, bytes, (size_t)len);
        more = len > 0 && import->whole;
        done += len > 0;
        if (total > 1)
            ctl_progress("reading", more ? done : total, total);
        status = send_rows(import);
    }
    return status;
}

int import_read(struct import *import, bool (*feed)(void *ctx, const char *bytes, size_t len), void *ctx)
{
    bool is_stdin = strcmp(import->file, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(import->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ctl_fail(import->verb, "%s: %s", import->file, strerror(errno));
    int status = read_fd(import, fd, feed, ctx);
    if (!is_stdin)
        close(fd);
    return status;
}

int import_csv(struct import *import, const struct csv_columns *columns, csv_row_fn on_row, void *ctx,
               uint32_t *ret_header)
{
    struct buf bytes = {0}, text = {0};
    char separator;
    int status = ctl_read(import->verb, import->file, CSV_FILE_MAX, &bytes);
    import->whole = status == CTL_OK && csv_decode(buf_str(&bytes), &text, &separator, &import->line_diagnostics);
    if (import->whole) {
        struct csv_reader *reader = csv_reader_new(columns, separator, on_row, ctx, &import->line_diagnostics);
        if (text.len > 0)
            csv_reader_feed(reader, text.data, text.len);
        import->whole = csv_reader_finish(reader);
        *ret_header = csv_reader_header(reader);
        csv_reader_free(&reader);
    }
    buf_free(&bytes);
    buf_free(&text);
    return status == CTL_OK ? send_rows(import) : status;
}

void import_header(const struct csv_columns *columns, uint32_t header, struct buf *out)
{
    for (size_t i = 0; i < columns->n; i++)
        if (header & UINT32_C(1) << i)
            buf_printf(out, "%s%s", out->len ? "," : "{", columns->names[i]);
    buf_append(out, "}", sizeof("}"));
}

/* Ends the COPY and reads the results of the server. */
static bool end_copy(struct import *import)
{
    bool done = send_rows(import) == CTL_OK && PQputCopyEnd(import->conn, NULL) == 1;
    PGresult *result;
    while ((result = PQgetResult(import->conn))) {
        done = done && check_result(import, "copy", result);
        PQclear(result);
    }
    return done;
}

static bool check_rows(struct import *import, const char *check, int n_values, const char *const *values)
{
    PGresult *rows =
        PQexecParams(import->conn, check, import->check_values ? n_values : 0, NULL, values, NULL, NULL, 0);
    bool done = check_result(import, "check", rows);
    for (int row = 0; done && row < PQntuples(rows); row++)
        line_diagnostics_add(&import->line_diagnostics, strtoull(PQgetvalue(rows, row, 0), NULL, 10),
                             *PQgetvalue(rows, row, 1) == 't', "%s", PQgetvalue(rows, row, 2));
    PQclear(rows);
    return done;
}

static void print_notes(const struct import *import, const PGresult *notes)
{
    for (int row = 0; row < PQntuples(notes); row++)
        fprintf(stderr, "%s:%s: %s\n", import->file, PQgetvalue(notes, row, 0), PQgetvalue(notes, row, 1));
}

/* Runs a query whose rows are printed. false: it failed; *ret is NULL if there is none to run. */
static bool query_more(const struct import *import, const char *sql, PGresult **ret)
{
    *ret = sql ? PQexec(import->conn, sql) : NULL;
    return !sql || check_result(import, "query the imported rows", *ret);
}

static void print_first(const struct import *import, const PGresult *first)
{
    if (!first || import->call->json)
        return;
    printf("The first rows, as interpreted:\n");
    ctl_print_rows(first, false);
    printf("\nNothing was stored; this would be the result:\n");
}

/* The reader may be a pager that waits for a person: nothing may be locked meanwhile. */
static void print_diagnostics(struct import *import)
{
    line_diagnostics_print(&import->line_diagnostics, import->file);
    line_diagnostics_free(&import->line_diagnostics);
}

static void roll_back(const struct import *import)
{
    if (PQtransactionStatus(import->conn) != PQTRANS_IDLE)
        PQclear(PQexec(import->conn, "rollback"));
}

static bool ask_to_confirm(struct import *import)
{
    if (!run_sql(import, "import", "rollback to savepoint before_merge"))
        return false;
    print_diagnostics(import);
    return import->confirm(import);
}

/* Nothing is locked while a person decides. */
static PGresult *merge_confirmed(struct import *import, const char *merge, int n_values, const char *const *values)
{
    if (!run_sql(import, "import", "savepoint before_merge"))
        return NULL;
    for (;;) {
        PGresult *row = PQexecParams(import->conn, merge, n_values, NULL, values, NULL, NULL, 0);
        if (!check_result(import, "import", row) || import->dry_run || !import->unconfirmed ||
            !import->unconfirmed(import))
            return row;
        bool confirmed = ask_to_confirm(import);
        PQclear(row);
        if (!confirmed)
            return NULL;
    }
}

static int merge_rows(struct import *import, const char *merge, int n_values, const char *const *values)
{
    PGresult *notes = NULL, *first = NULL;
    PGresult *row = merge_confirmed(import, merge, n_values, values);
    bool good = PQresultStatus(row) == PGRES_TUPLES_OK &&
                query_more(import, import->call->json ? NULL : import->notes, &notes) &&
                query_more(import, import->dry_run ? import->first : NULL, &first);
    good = good && (import->dry_run || !import->before_commit || import->before_commit(import));
    good = good && run_sql(import, "commit", import->dry_run ? "rollback" : "commit");
    if (!good)
        roll_back(import);
    print_diagnostics(import);
    if (good) {
        print_notes(import, notes);
        print_first(import, first);
        ctl_print_rows(row, import->call->json);
    }
    PQclear(first);
    PQclear(notes);
    PQclear(row);
    return good ? CTL_OK : CTL_FAILED;
}

int import_finish(struct import *import, const char *check, const char *merge, int n_values, const char *const *values)
{
    if (!end_copy(import) || (import->whole && import->before_check && !import->before_check(import)) ||
        (import->whole && !check_rows(import, check, n_values, values)))
        return CTL_FAILED;
    size_t errors = import->line_diagnostics.errors;
    if (errors > 0) {
        roll_back(import);
        print_diagnostics(import);
        return ctl_fail(import->verb, "%s: %zu error%s; nothing was imported", import->file, errors,
                        ctl_plural(errors));
    }
    return merge_rows(import, merge, n_values, values);
}

void import_close(struct import *import)
{
    PQfinish(import->conn);
    import->conn = NULL;
    line_diagnostics_free(&import->line_diagnostics);
    buf_free(&import->rows);
}
