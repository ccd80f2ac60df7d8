/* mobeyectl journal: inspects a journal, also while the daemon writes it, and has its records applied again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/table.h"
#include "ctl/operate/journal_view.h"
#include "journal/reader.h"
#include "journal/salvage.h"
#include "model/record.h"
#include "store/identity.h"
#include "store/pgtype.h"

#define VERB "journal"

static const char help[] =
    "Usage: mobeyectl journal list [OPTION]...\n"
    "       mobeyectl journal verify [OPTION]...\n"
    "       mobeyectl journal dump [--from N] [--to N] [OPTION]...\n"
    "       mobeyectl journal replay [--from N] [OPTION]...\n"
    "Lists, verifies, dumps or replays the journal of accepted alerts.\n\n"
    "list prints its segments; verify checks every byte and prints one line per damaged region; dump prints its\n"
    "records; replay makes the daemon apply the records from N on again; no alert is stored twice.\n"
    "The daemon may be running. list, verify and dump change nothing.\n\n"
    "      --from N         first record (replay: default is the oldest record that is kept)\n"
    "      --to N           dump: last record\n"
    "      --directory DIR  the journal; overrides journal.directory\n"
    "      --json           list: print JSON; verify, dump: print one JSON object per line\n"
    "  -c, --config FILE    configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO    list, replay: libpq connection string; overrides database.conninfo\n"
    "  -h, --help           print this help\n\n"
    "Example:\n"
    "  $ mobeyectl journal dump --from 1000 --to 1010\n\n"
    "Exit status: 0 success, 1 failure or damage found, 2 usage error.\n";

/* ---- list ---- */

static const struct {
    const char *name;
    Oid type;
} columns[] = {{"segment", TYPE_TEXT}, {"first", TYPE_INT8}, {"last", TYPE_INT8},  {"records", TYPE_INT8},
               {"bytes", TYPE_INT8},   {"from", TYPE_TEXT},  {"until", TYPE_TEXT}, {"stored", TYPE_BOOL}};

enum { N_COLUMNS = ARRAY_LEN(columns) };

/* The database's position in this journal; -1: unknown. */
static int64_t ask_position(const struct journal_view *view)
{
    const struct journal_request *request = view->request;
    if (request->directory && !request->call.db && !request->call.file)
        return -1;
    PGconn *conn = ctl_connect(VERB, request->call.file, request->call.db);
    if (!conn)
        return -1;
    char uuid[IDENTITY_TEXT_SIZE];
    const char *values[] = {uuid};
    identity_text(view->check.tail.uuid, uuid);
    PGresult *rows = ctl_query(conn, VERB, "the position",
                               "select position from mobeye.journal_position where journal = $1::uuid", 1, values);
    int64_t position = -1;
    if (rows)
        position = PQntuples(rows) > 0 ? strtoll(PQgetvalue(rows, 0, 0), NULL, 10) : 0;
    PQclear(rows);
    PQfinish(conn);
    return position;
}

static void set_text(PGresult *rows, int row, int column, const char *text)
{
    char value[64];
    snprintf(value, sizeof(value), "%s", text ? text : "");
    PQsetvalue(rows, row, column, text ? value : NULL, text ? (int)strlen(value) : -1);
}

static void set_number(PGresult *rows, int row, int column, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    set_text(rows, row, column, text);
}

/* Local time for people, RFC 3339 in UTC for programs. */
static void set_time(PGresult *rows, int row, int column, int64_t wall_us, bool json)
{
    char utc[CLOCK_RFC3339_SIZE], local[CTL_LOCAL_TIME_SIZE];
    set_text(rows, row, column, json ? clock_format_rfc3339(wall_us, 0, utc) : ctl_local_time(wall_us, local));
}

static void list_row(PGresult *rows, int row, const struct segment *segment, int64_t position, bool json)
{
    char name[SEGMENT_NAME_SIZE];
    bool empty = segment->next_seq == segment->seq;
    set_text(rows, row, 0, segment_name(segment->seq, name));
    set_number(rows, row, 1, segment->seq);
    set_number(rows, row, 2, segment->next_seq - 1);
    set_number(rows, row, 3, segment->records);
    set_number(rows, row, 4, segment->bytes);
    if (empty) {
        set_text(rows, row, 5, NULL);
        set_text(rows, row, 6, NULL);
    } else {
        set_time(rows, row, 5, segment->first_wall_us, json);
        set_time(rows, row, 6, segment->last_wall_us, json);
    }
    set_text(rows, row, 7, position < 0 ? NULL : segment->next_seq <= (uint64_t)position + 1 ? "t" : "f");
}

static int list_segments(const struct journal_request *request)
{
    struct journal_view view;
    int status = journal_view_open(&view, request, false);
    if (status == CTL_OK) {
        int64_t position = ask_position(&view);
        PGresAttDesc descriptions[N_COLUMNS] = {0};
        for (int i = 0; i < N_COLUMNS; i++) {
            descriptions[i].name = (char *)columns[i].name;
            descriptions[i].typid = columns[i].type;
        }
        PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
        PQsetResultAttrs(rows, N_COLUMNS, descriptions);
        for (size_t i = 0; i < view.chain.n; i++)
            list_row(rows, (int)i, &view.chain.segments[i], position, request->call.json);
        ctl_print_rows(rows, request->call.json);
        PQclear(rows);
        if (view.damaged > 0)
            fprintf(stderr, "%lu damaged regions; 'mobeyectl journal verify' lists them\n", view.damaged);
    }
    journal_view_close(&view);
    return status;
}

/* ---- verify ---- */

static void print_missing(struct journal_view *view)
{
    const struct chain *chain = &view->chain;
    char name[SEGMENT_NAME_SIZE], what[128];
    for (size_t i = 1; i < chain->n; i++) {
        uint64_t from = chain->segments[i - 1].next_seq, until = chain->segments[i].seq;
        if (from >= until)
            continue;
        view->damaged++;
        snprintf(what, sizeof(what), "records %" PRIu64 " to %" PRIu64 " before it are missing", from, until - 1);
        journal_view_print(view, segment_name(until, name), "", what);
    }
}

static int verify_journal(const struct journal_request *request)
{
    struct journal_view view;
    int status = journal_view_open(&view, request, true);
    if (status == CTL_OK) {
        uint64_t records = 0;
        for (size_t i = 0; i < view.chain.n; i++)
            records += view.chain.segments[i].records;
        print_missing(&view);
        for (size_t i = 0; i < view.chain.n_foreign; i++)
            journal_view_print(&view, view.chain.foreign[i].name, "", view.chain.foreign[i].why);
        view.damaged += view.chain.n_foreign;
        fprintf(stderr, "%zu segment%s, %" PRIu64 " valid record%s, %lu damaged region%s\n", view.chain.n,
                ctl_plural(view.chain.n), records, ctl_plural(records), view.damaged, ctl_plural(view.damaged));
        if (faccessat(view.dir_fd, SALVAGE_FOLDER, F_OK, 0) == 0)
            fputs("The bytes of earlier damage are in the directory " SALVAGE_FOLDER ".\n", stderr);
        status = view.damaged > 0 ? CTL_FAILED : CTL_OK;
    }
    journal_view_close(&view);
    return status;
}

/* ---- dump ---- */

static void dump_image(struct buf *out, const struct image *image)
{
    json_write_name(out, "image");
    buf_append_str(out, STR("{"));
    json_write_text(out, "media_type", str_from(image_media_type(image->kind)));
    if (image->width > 0) {
        json_write_count(out, "width", image->width);
        json_write_count(out, "height", image->height);
    }
    json_write_count(out, "bytes", image->bytes.len);
    buf_append_str(out, STR("}"));
}

static void dump_json(struct buf *out, const struct batch_row *row, const struct alert *alert, const char *unreadable)
{
    char time[CLOCK_RFC3339_SIZE];
    buf_printf(out, "{\"seq\": %" PRIu64 ", \"checksum\": \"%016" PRIx64 "\", \"bytes\": %zu", row->alert.seq,
               row->alert.checksum, row->record.len);
    if (unreadable) {
        json_write_text(out, "unreadable", str_from(unreadable));
    } else {
        json_write_text(out, "received", str_from(clock_format_rfc3339(alert->received_us, 6, time)));
        json_write_text(out, "occurred", str_from(clock_format_rfc3339(alert->occurred_us, 6, time)));
        json_write_text(out, "endpoint", alert->endpoint);
        json_write_text(out, "source", alert->source);
        json_write_text(out, "event_id", alert->event_id);
        json_write_text(out, "device", alert->device);
        json_write_text(out, "kind", str_from(alert_kind_word(alert->kind)));
        json_write_text(out, "phase", str_from(alert_phase_word(alert->phase)));
        json_write_text(out, "payload", alert->payload);
        if (alert->image.kind != IMAGE_NONE)
            dump_image(out, &alert->image);
    }
    buf_append_str(out, STR("}\n"));
}

static void dump_text(struct buf *out, const struct batch_row *row, const struct alert *alert, const char *unreadable)
{
    char time[CTL_LOCAL_TIME_SIZE];
    buf_printf(out, "%" PRIu64 "  ", row->alert.seq);
    if (unreadable) {
        buf_printf(out, "unreadable, %zu bytes: %s\n", row->record.len, unreadable);
        return;
    }
    struct str words[] = {alert->endpoint,
                          alert->device,
                          str_from(alert_kind_word(alert->kind)),
                          str_from(alert_phase_word(alert->phase)),
                          alert->source,
                          alert->event_id};
    buf_append_str(out, str_from(ctl_local_time(alert->received_us, time)));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        buf_append_str(out, STR("  "));
        ctl_escape(out, words[i], false);
    }
    if (alert->image.kind != IMAGE_NONE)
        buf_printf(out, "  %s, %zu bytes", image_media_type(alert->image.kind), alert->image.bytes.len);
    buf_append_str(out, STR("\n"));
}

static void dump_row(const struct journal_request *request, const struct batch_row *row, struct buf *out)
{
    struct alert alert;
    struct err err;
    const char *unreadable = row->unreadable;
    if (!unreadable && record_unpack(row->record, &alert, &err) != 0)
        unreadable = err.text;
    out->len = 0;
    if (request->call.json)
        dump_json(out, row, &alert, unreadable);
    else
        dump_text(out, row, &alert, unreadable);
    fwrite(out->data, 1, out->len, stdout);
}

static int dump_rows(const struct journal_request *request, struct reader *reader, struct batch *batch)
{
    struct buf out = {0};
    struct err err;
    int rc;
    uint64_t next = request->from ? request->from : 1;
    while ((rc = reader_read(reader, next, batch->cap, 1 << 20, batch, &err)) == 0 && batch->n > 0) {
        for (size_t i = 0; i < batch->n && (!request->to || batch->rows[i].alert.seq <= request->to); i++)
            dump_row(request, &batch->rows[i], &out);
        next = batch->last_seq + 1;
        batch_clear(batch);
        if ((request->to && next > request->to) || ferror(stdout))
            break;
    }
    buf_free(&out);
    return rc == 0 ? CTL_OK : ctl_fail(VERB, "%s", err.text);
}

static int dump_records(const struct journal_request *request)
{
    struct journal_view view;
    int status = journal_view_open(&view, request, false);
    if (status == CTL_OK) {
        struct reader reader = {.dir_fd = view.dir_fd, .chain = &view.chain, .fd = -1};
        struct batch *batch = batch_new(1000);
        status = dump_rows(request, &reader, batch);
        if (fflush(stdout) != 0 && status == CTL_OK)
            status = ctl_fail(VERB, "cannot write: %s", strerror(errno));
        batch_free(&batch);
        reader_free(&reader);
    }
    journal_view_close(&view);
    return status;
}

/* ---- replay ---- */

/* The checksum of the record before `from`, which the database's position must have. */
static bool checksum_before(const struct journal_view *view, uint64_t from, uint64_t *ret)
{
    const struct segment *oldest = view->chain.n > 0 ? &view->chain.segments[0] : NULL;
    *ret = 0;
    if (from == 1)
        return true;
    if (oldest && from == oldest->seq) {
        *ret = oldest->prev_checksum;
        return *ret != 0;
    }
    struct reader reader = {.dir_fd = view->dir_fd, .chain = &view->chain, .fd = -1};
    bool found = reader_checksum(&reader, from - 1, ret);
    reader_free(&reader);
    return found;
}

static int rewind_database(const struct journal_view *view, uint64_t from, uint64_t checksum)
{
    const struct journal_request *request = view->request;
    char uuid[IDENTITY_TEXT_SIZE], position[32], sum[32];
    identity_text(view->check.tail.uuid, uuid);
    snprintf(position, sizeof(position), "%" PRIu64, from - 1);
    snprintf(sum, sizeof(sum), "%" PRId64, (int64_t)checksum);
    PGconn *conn = ctl_connect(VERB, request->call.file, request->call.db);
    if (!conn)
        return CTL_FAILED;
    const char *values[] = {uuid, position, sum};
    PGresult *rows =
        ctl_query(conn, VERB, "replay", "select mobeye.journal_rewind($1::uuid, $2::bigint, $3::bigint)", 3, values);
    if (rows)
        printf("journal %s: records %" PRIu64 " to %s will be applied again\n", uuid, from, PQgetvalue(rows, 0, 0));
    PQclear(rows);
    PQfinish(conn);
    return rows ? CTL_OK : CTL_FAILED;
}

static int replay_records(const struct journal_request *request)
{
    struct journal_view view;
    uint64_t checksum;
    int status = journal_view_open(&view, request, false);
    if (status == CTL_OK && view.chain.n == 0)
        status = ctl_fail(VERB, "no readable journal found");
    if (status == CTL_OK) {
        uint64_t oldest = view.chain.segments[0].seq, from = request->from ? request->from : oldest;
        if (from < oldest || from > view.check.last_seq + 1)
            status = ctl_fail(VERB, "record %" PRIu64 " is not in the journal (expected %" PRIu64 " to %" PRIu64 ")",
                              from, oldest, view.check.last_seq);
        else if (!checksum_before(&view, from, &checksum))
            status =
                ctl_fail(VERB, "cannot start at record %" PRIu64 ": record %" PRIu64 " is lost (choose another one)",
                         from, from - 1);
        else
            status = rewind_database(&view, from, checksum);
    }
    journal_view_close(&view);
    return status;
}

/* ---- the command line ---- */

enum { LIST, VERIFY, DUMP, REPLAY };

static const struct ctl_verb actions[] = {[LIST] = {"list", .takes = "directory json config db"},
                                          [VERIFY] = {"verify", .takes = "directory json config"},
                                          [DUMP] = {"dump", .takes = "from to directory json config"},
                                          [REPLAY] = {"replay", .takes = "from directory config db"},
                                          {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};
static int (*const runs[])(const struct journal_request *request) = {
    [LIST] = list_segments, [VERIFY] = verify_journal, [DUMP] = dump_records, [REPLAY] = replay_records};

/* CTL_GO if the option is not given (text is NULL) or is the number of a record. */
static int parse_seq(const char *text, uint64_t *ret)
{
    char *end;
    if (!text)
        return CTL_GO;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && errno == 0 && *ret >= 1 && *ret <= INT64_MAX)
        return CTL_GO;
    return ctl_usage(VERB, "\"%s\" is not a record number (expected 1, 2, ...)", text);
}

int ctl_journal(int argc, char **argv)
{
    struct journal_request request = {0};
    const char *from = NULL, *to = NULL;
    const struct ctl_option options[] = {
        {"from", .text = &from}, {"to", .text = &to}, {"directory", .text = &request.directory}, {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status == CTL_GO)
        status = parse_seq(from, &request.from);
    if (status == CTL_GO)
        status = parse_seq(to, &request.to);
    return status == CTL_GO ? runs[request.call.action](&request) : status;
}
