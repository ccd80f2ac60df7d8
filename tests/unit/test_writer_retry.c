/* Quarantined alerts are retried. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/quarantine_retry.h"
#include "writer_rig.h"
#include "writer_steps.h"

static struct rig rig;
static PGconn *conn;
static uint8_t journal[16] = {7};

/* The connection breaks as soon as it sends or receives so often. */
static struct {
    unsigned at, calls; /* at 0: it holds */
} broken;

static bool breaks(int fd)
{
    if (broken.at == 0 || fd != PQsocket(conn) || ++broken.calls < broken.at)
        return false;
    shutdown(fd, SHUT_RDWR);
    errno = ECONNRESET;
    return true;
}

ssize_t recv(int fd, void *out, size_t len, int flags)
{
    return breaks(fd) ? -1 : syscall(SYS_recvfrom, fd, out, len, flags, NULL, NULL);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    return breaks(fd) ? -1 : syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

static void connect_as_daemon(void)
{
    broken.at = broken.calls = 0;
    conn = PQconnectdb(rig.conninfo);
    cr_assert_eq(PQstatus(conn), CONNECTION_OK);
}

/* The daemon's role, as mobeyectl uses it. */
static void setup(void)
{
    rig_open(&rig);
    rig_sql(&rig, "select mobeye.premake_partitions()");
    rig_sql(&rig, "alter table mobeye.alert add constraint no_poison check (device_id <> 'POISON')");
    connect_as_daemon();
}

static void teardown(void)
{
    PQfinish(conn);
    rig_close(&rig);
}

TestSuite(retry, .init = setup, .fini = teardown, .timeout = 300);

static struct buf packed;

static void poisoned(struct batch_row *row, uint64_t seq)
{
    if (seq != 2)
        return;
    row->alert.device = STR("POISON");
    row->alert.place.accuracy_m = NAN;
}

/* Makes the writer quarantine one alert of three; returns its id in quarantine. */
static int64_t set_one_aside(void)
{
    struct owner owner = {.total = 3, .change = poisoned};
    memcpy(owner.journal, journal, sizeof(journal));
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_assert_eq(owner.quarantined, 1);
    owner_stop(&owner);
    /* The rig's records are payloads alone. */
    struct alert alert = {
        .format = ALERT_CLOUDEVENTS,
        .source = STR("/mobeye/gateway-a"),
        .event_id = STR("000002"),
        .device = STR("POISON"),
        .kind = KIND_MOTION,
        .kind_word = STR("motion"),
        .input = 1,
        .occurred_us = RIG_TIME_US + 2,
        .skew_us = -250000,
        .received_us = RIG_TIME_US + CLOCK_SECOND,
        .endpoint = STR("cameras"),
        .accuracy_m = NAN,
        .fix_us = ALERT_NO_TIME,
        .battery_pct = ALERT_NO_INT,
        .signal_dbm = ALERT_NO_INT,
        .camera.score = NAN,
        .payload = STR("{\"a\": 1}"),
    };
    packed.len = 0;
    record_pack(&packed, &alert);
    const char *values[] = {packed.data};
    PGresult *result = PQexecParams(rig.admin, "update mobeye.quarantine set record = $1::bytea", 1, NULL, values,
                                    (int[]){(int)packed.len}, (int[]){1}, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    buf_free(&packed);
    return rig_number(&rig, "select id from mobeye.quarantine");
}

static void by_rule(void *ctx, struct batch *batch)
{
    struct alert *alert = &batch->rows[0].alert;
    alert->rule = str_from(ctx);
    incident_key_condition(NULL, alert);
}

static void on_correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    correlate(set, batch, store);
}

static const struct quarantine_retry_calls calls = {.enrich = by_rule, .correlate = on_correlate, .rules = rig_rules};
static char rule[] = "repaired";

Test(retry, stores_what_the_database_takes_now)
{
    struct err err;
    int64_t id = set_one_aside();
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), QUARANTINE_RETRY_REFUSED);
    cr_expect_not_null(strstr(err.text, "no_poison"), "%s", err.text);
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert_identity", "2");
    rig_sql(&rig, "alter table mobeye.alert drop constraint no_poison");
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), QUARANTINE_RETRY_STORED, "%s", err.text);
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "0");
    RIG_EXPECT(
        &rig,
        "select concat_ws(' ', event_id, journal_seq, instance, rule, endpoint, occurred_at) from mobeye.alert_decoded "
        "where device_id = 'POISON'",
        "000002 2 amersfoort-1 repaired cameras 2026-11-23 21:04:11.000002+00");
    /* What comes by the journal again is a duplicate now. */
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), -1);
    cr_expect_not_null(strstr(err.text, "is not in quarantine"), "%s", err.text);
    struct owner owner = {.total = 3, .change = poisoned, .journal = {8}};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.duplicate, 3);
    owner_stop(&owner);
}

static void by_default_rule(void *ctx, struct batch *batch)
{
    (void)ctx;
    struct alert *alert = &batch->rows[0].alert;
    alert->rule = default_rule.terms.rule;
    alert->terms = &default_rule.terms;
    incident_key_of_rule(NULL, alert, &default_rule);
    incident_key_condition(NULL, alert);
}

Test(retry, verifies_the_incident_as_the_daemon_would)
{
    static const struct step steps[] = {{0, "POISON", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0}};
    static const struct quarantine_retry_calls verify = {
        .enrich = by_default_rule, .correlate = on_correlate, .rules = rig_rules, .verifies = true};
    struct err err;
    int64_t id = set_one_aside();
    rig_sql(&rig, "alter table mobeye.alert drop constraint no_poison");
    struct owner owner = {.total = 1, .change = play_ours, .journal = {9}};
    ours = steps;
    owner_start(&owner, &rig, "b", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner) && writer_drained(owner.writer));
    owner_stop(&owner);
    cr_expect_eq(quarantine_retry(conn, id, &verify, NULL, &err), QUARANTINE_RETRY_STORED, "%s", err.text);
    RIG_EXPECT(&rig, "select concat_ws(' ', alert_count, verified_by) from mobeye.incident", "2 second_input");
}

Test(retry, takes_out_what_is_stored_already)
{
    struct err err;
    int64_t id = set_one_aside();
    /* identity_of(STR("/mobeye/gateway-a"), STR("000002")), and the device by the alert's own identity. */
    rig_sql(&rig,
            "insert into mobeye.alert_identity (id, device, period) select '5631d671-9b97-096d-fdb4-006ad27f45b4',"
            " ('x' || left(replace(identity::text, '-', ''), 16))::bit(64)::bigint, 1 from mobeye.quarantine");
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), QUARANTINE_RETRY_DUPLICATE);
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "0");
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert", "2");
}

Test(retry, makes_a_missing_partition)
{
    struct err err;
    int64_t id = set_one_aside();
    rig_sql(&rig, "alter table mobeye.alert drop constraint no_poison");
    rig_sql(&rig, "do $$ declare one regclass; begin for one in select inhrelid from pg_inherits where inhparent = "
                  "'mobeye.alert_alarm'::regclass loop execute 'drop table ' || one; end loop; end $$");
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), QUARANTINE_RETRY_STORED, "%s", err.text);
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert_alarm", "1");
}

Test(retry, says_what_cannot_be_tried)
{
    struct err err;
    int64_t id = set_one_aside();
    rig_sql(&rig, "update mobeye.quarantine set record = 'x'");
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), -1);
    cr_expect_not_null(strstr(err.text, "cannot be read"), "%s", err.text);
    rig_sql(&rig, "revoke all on mobeye.quarantine from mobeye_ingest");
    cr_expect_eq(quarantine_retry(conn, id, &calls, rule, &err), -1);
    cr_expect_not_null(strstr(err.text, "42501"), "%s", err.text);
    cr_expect_eq(PQtransactionStatus(conn), PQTRANS_IDLE);
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "1");
}

Test(retry, a_connection_that_breaks_leaves_it_in_quarantine_or_stored)
{
    unsigned kept = 0;
    int64_t id = set_one_aside();
    rig_sql(&rig, "alter table mobeye.alert drop constraint no_poison");
    for (unsigned at = 1; rig_number(&rig, "select count(*) from mobeye.quarantine") == 1; at++, kept++) {
        struct err err = {""};
        cr_assert_lt(at, 200u);
        broken.at = at;
        int rc = quarantine_retry(conn, id, &calls, rule, &err);
        if (rc != QUARANTINE_RETRY_STORED) {
            cr_assert_eq(rc, -1, "at %u", at);
            cr_assert_neq(err.text[0], '\0', "at %u", at);
        }
        PQfinish(conn);
        connect_as_daemon();
        RIG_EXPECT(&rig,
                   "select (select count(*) from mobeye.quarantine) + (select count(*) from mobeye.alert_decoded where "
                   "device_id = 'POISON')",
                   "1");
    }
    cr_expect_gt(kept, 5u, "%u", kept);
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert_identity", "3");
}
