/* Between the journal and the writer: every record is submitted, in order. The writer is a double; the registry and the
 * areas are a database's (tests/with-postgres). */
#include "test_journal_support.h"
#include "writer_rig.h"

#include "flow/applier.h"
#include "model/record.h"

enum { BATCH = 1500, TURNS = 20 };

struct writer {
    struct writer_calls calls;
    void *ctx;
    bool wants;
    struct batch *batch; /* the last that was submitted, not done */
    uint64_t submitted_seq;
};

static struct writer writer;

struct writer *writer_new(struct loop *loop, const struct writer_options *options, const struct writer_calls *calls,
                          void *ctx)
{
    (void)loop, (void)options;
    writer = (struct writer){.calls = *calls, .ctx = ctx};
    return &writer;
}

void writer_free(struct writer **w)
{
    if (writer.batch)
        writer.calls.on_done(writer.ctx, writer.batch, NULL);
    *w = NULL;
}

void writer_start(struct writer *w)
{
    (void)w;
}

bool writer_wants(const struct writer *w)
{
    return w->wants;
}

void writer_submit(struct writer *w, struct batch *batch)
{
    cr_assert(w->wants);
    cr_expect_eq(batch->first_seq, w->submitted_seq + 1, "%" PRIu64 " follows on %" PRIu64, batch->first_seq,
                 w->submitted_seq);
    w->submitted_seq = batch->last_seq;
    w->batch = batch;
    w->wants = false;
}

void writer_set_journal(struct writer *w, const uint8_t *journal_uuid)
{
    (void)w, (void)journal_uuid;
}

void writer_reconfigure(struct writer *w, const struct writer_options *options)
{
    (void)w, (void)options;
}

bool writer_idle(const struct writer *w)
{
    return !w->batch;
}

void writer_mark_silent(struct writer *w, struct str device)
{
    (void)w, (void)device;
}

int64_t writer_status_written_until_us(const struct writer *w)
{
    (void)w;
    return INT64_MAX;
}

int64_t writer_unverified_us(const struct writer *w)
{
    (void)w;
    return 0;
}

void writer_flush_now(struct writer *w)
{
    (void)w;
}

bool writer_drained(const struct writer *w)
{
    return writer_idle(w);
}

struct writer_counts writer_counts(const struct writer *w)
{
    (void)w;
    return (struct writer_counts){0};
}

const char *writer_state(const struct writer *w)
{
    (void)w;
    return "connected";
}

int64_t writer_partitions_until_us(const struct writer *w)
{
    (void)w;
    return 0;
}

static struct rig rig;
static struct metrics metrics;
static struct journal *journal;
static struct applier *applier;
static struct conf conf;

static void on_stored(void *ctx)
{
    (void)ctx;
}

static void on_failed(void *ctx, const struct err *err)
{
    (void)ctx;
    cr_assert_fail("%s", err->text);
}

static void on_salvaged(void *ctx, const struct journal_recovery *found)
{
    (void)ctx, (void)found;
    cr_assert_fail("nothing is damaged");
}

/* This many more alerts are on stable storage. */
static void journal_alerts(size_t n)
{
    struct err err;
    struct buf record = {0};
    uint64_t seq;
    const struct alert alert = {ALERT_UNSET,          .format = ALERT_CLOUDEVENTS, .source = STR("/s"),
                                .event_id = STR("e"), .device = STR("d"),          .kind_word = STR("motion"),
                                .kind = KIND_MOTION,  .payload = STR("{}"),        .endpoint = STR("door"),
                                .occurred_us = WALL,  .received_us = WALL};
    record_pack(&record, &alert);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(journal_append(journal, buf_str(&record), WALL, &seq, &err), JOURNAL_APPENDED, "%s", err.text);
    cr_assert_eq(journal_sync(journal, &err), 0, "%s", err.text);
    buf_free(&record);
    applier_feed(applier);
}

/* The batch is stored, and the writer takes the next. */
static void batch_stored(void)
{
    struct batch *batch = writer.batch;
    const struct writer_stored stored = {.last_seq = batch->last_seq, .committed = batch->n};
    writer.batch = NULL;
    writer.wants = true;
    writer.calls.on_stored(writer.ctx, &stored);
    writer.calls.on_done(writer.ctx, batch, NULL);
}

static void open_all(void)
{
    static const struct applier_calls calls = {
        .on_stored = on_stored, .on_failed = on_failed, .on_salvaged = on_salvaged};
    struct journal_recovery found;
    struct err err;
    rig_open(&rig);
    test_dir_make();
    conf = (struct conf){.instance = (char *)"i", .database = {.conninfo = rig.conninfo, .batch_max = BATCH}};
    metrics = (struct metrics){0};
    const struct journal_options options = options_of(UINT64_C(64) << 20);
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), 0, "%s", err.text);
    applier = applier_new(rig.loop, &metrics, journal, &conf, &calls, NULL, &err);
    cr_assert_not_null(applier, "%s", err.text);
    writer.calls.on_position(writer.ctx, (struct writer_position){0});
    writer.wants = true;
    writer.calls.on_up(writer.ctx, true);
    /* The first is submitted when the registry is loaded. */
    journal_alerts(1);
    RIG_WAIT(&rig, writer.submitted_seq == 1);
    batch_stored();
}

static void close_all(void)
{
    if (!rig.loop)
        return;
    applier_free(&applier);
    journal_free(&journal);
    test_dir_remove();
    rig_close(&rig);
}

TestSuite(applier, .init = open_all, .fini = close_all, .timeout = 300);

/* As when the previous transaction begins again: the server is no longer busy with its rows. */
Test(applier, a_batch_waits_for_a_writer_that_no_longer_wants_it_when_it_is_prepared)
{
    journal_alerts((size_t)2 * BATCH);
    cr_assert_eq(writer.submitted_seq, 1, "it takes several turns to prepare");
    writer.wants = false;
    for (size_t i = 0; i < TURNS; i++)
        loop_turn(rig.loop);
    cr_assert_eq(writer.submitted_seq, 1);
    writer.wants = true;
    writer.calls.on_ready(writer.ctx);
    RIG_WAIT(&rig, writer.submitted_seq == 1 + BATCH);
    batch_stored();
    RIG_WAIT(&rig, writer.submitted_seq == 1 + 2 * BATCH);
    batch_stored();
    cr_assert(applier_done(applier));
    cr_assert_eq(metrics.committed_total, 1 + 2 * BATCH);
    cr_assert_eq(metrics.quarantined_total, 0);
}

/* What is being prepared when the connection is lost is read again from where the database is. */
Test(applier, a_batch_that_is_being_prepared_is_read_again_after_a_lost_connection)
{
    journal_alerts((size_t)2 * BATCH);
    writer.wants = false;
    writer.calls.on_up(writer.ctx, false);
    for (size_t i = 0; i < TURNS; i++)
        loop_turn(rig.loop);
    writer.calls.on_position(writer.ctx, (struct writer_position){.known = true, .position = 1});
    writer.wants = true;
    writer.calls.on_up(writer.ctx, true);
    writer.calls.on_ready(writer.ctx);
    RIG_WAIT(&rig, writer.submitted_seq == 1 + BATCH);
    batch_stored();
    RIG_WAIT(&rig, writer.submitted_seq == 1 + 2 * BATCH);
    batch_stored();
    cr_assert(applier_done(applier));
}
