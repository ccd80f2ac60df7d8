/* Alerts that the database refuses: each is quarantined with its bytes, all others are stored. */
#include "writer_rig.h"
#include "writer_steps.h"

static struct rig rig;

static void setup(void)
{
    rig_open(&rig);
    rig_sql(&rig, "select mobeye.premake_partitions()");
    rig_sql(&rig, "alter table mobeye.alert add constraint no_poison check (device_id <> 'POISON')");
}

static void teardown(void)
{
    rig_close(&rig);
}

TestSuite(refused, .init = setup, .fini = teardown, .timeout = 300);

/* The records that are poison; 0 ends the list. */
static uint64_t poison[64];

static bool is_poison(uint64_t seq)
{
    for (size_t i = 0; poison[i]; i++)
        if (poison[i] == seq)
            return true;
    return false;
}

static void poisoned(struct batch_row *row, uint64_t seq)
{
    if (is_poison(seq))
        row->alert.device = STR("POISON");
}

struct poison_case {
    uint64_t seqs[16];
};

ParameterizedTestParameters(refused, only_the_refused_are_quarantined)
{
    static struct poison_case cases[] = {
        {{1}},
        {{100}},
        {{50}},
        {{1, 2, 3}},
        {{98, 99, 100}},
        {{1, 50, 100}},
        {{101}},
        {{200}},
        {{99, 100, 101}},
        {{3, 13, 14, 60}},
        {{40, 80, 120, 160, 200, 240}},
    };
    return cr_make_param_array(struct poison_case, cases, sizeof(cases) / sizeof(cases[0]));
}

static void expect_all_but_poison(struct owner *owner)
{
    size_t n = 0;
    while (poison[n])
        n++;
    cr_expect_eq(owner->quarantined, n);
    cr_expect_eq(owner->committed, owner->total - n);
    cr_expect_eq(rig_number(&rig, "select count(distinct event_id) from mobeye.alert where device_id <> 'POISON'"),
                 (long long)(owner->total - n));
    cr_expect_eq(rig_number(&rig, "select count(*) from mobeye.alert_identity"), (long long)(owner->total - n),
                 "identities are of stored alerts alone");
    for (size_t i = 0; i < n; i++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "select count(*) from mobeye.quarantine where journal_seq = %" PRIu64, poison[i]);
        cr_expect_eq(rig_number(&rig, sql), 1);
    }
}

ParameterizedTest(struct poison_case *one, refused, only_the_refused_are_quarantined)
{
    struct owner owner = {.total = 250, .change = poisoned};
    memcpy(poison, one->seqs, sizeof(one->seqs));
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_all_but_poison(&owner);
    cr_expect_eq(owner.positions, 1);
    owner_stop(&owner);
}

/* Every alert creates an incident of its device. */
static void poisoned_incident(struct batch_row *row, uint64_t seq)
{
    poisoned(row, seq);
    row->alert.rule = default_rule.terms.rule;
    row->alert.terms = &default_rule.terms;
    incident_key_of_rule(NULL, &row->alert, &default_rule);
}

ParameterizedTestParameters(refused, what_an_incident_refuses_is_quarantined)
{
    static struct poison_case cases[] = {{{1}}, {{100}}, {{99, 100, 101}}, {{3, 13, 14, 60}}};
    return cr_make_param_array(struct poison_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct poison_case *one, refused, what_an_incident_refuses_is_quarantined)
{
    struct owner owner = {.total = 250, .change = poisoned_incident};
    memcpy(poison, one->seqs, sizeof(one->seqs));
    rig_sql(&rig, "alter table mobeye.alert drop constraint no_poison");
    rig_sql(&rig, "alter table mobeye.incident add constraint no_poison check (device_id <> 'POISON')");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_all_but_poison(&owner);
    RIG_EXPECT(&rig, "select count(*) - sum(alert_count) from mobeye.incident", "0");
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine where sqlstate <> '23514'", "0");
    cr_expect_eq(owner.positions, 1);
    owner_stop(&owner);
}

static void all_poison(struct batch_row *row, uint64_t seq)
{
    (void)seq;
    row->alert.device = STR("POISON");
}

Test(refused, a_batch_of_nothing_else_ends)
{
    struct owner owner = {.total = 150, .change = all_poison};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 150);
    RIG_EXPECT(
        &rig,
        "select concat_ws(' ', count(*), count(distinct identity), min(endpoint), min(device_id), min(sqlstate), "
        "min(instance), bool_and(record = payload), min(received_at)) from mobeye.quarantine",
        "150 150 cameras POISON 23514 amersfoort-1 t 2026-11-23 21:04:12+00");
    RIG_EXPECT(&rig, "select reason like '%violates check constraint \"no_poison\"' from mobeye.quarantine limit 1",
               "t");
    owner_stop(&owner);
}

static uint64_t half_known(uint64_t seq)
{
    return seq % 2 ? seq : 1;
}

Test(refused, duplicates_and_poison_in_one_batch_are_told_apart)
{
    struct owner owner = {.total = 100, .change = poisoned, .event = half_known};
    memcpy(poison, (uint64_t[]){5, 55, 0}, 3 * sizeof(uint64_t));
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    /* Known now, so that the claim comes before the poison. */
    poison[0] = 105;
    poison[1] = 177;
    owner_more(&owner, 100);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 4);
    cr_expect_eq(owner.duplicate, 100);
    cr_expect_eq(owner.committed, 96);
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), count(distinct event_id)) from mobeye.alert", "96 96");
    owner_stop(&owner);
}

Test(refused, poison_that_comes_again_is_a_duplicate)
{
    struct owner owner = {.total = 50, .change = poisoned};
    memcpy(poison, (uint64_t[]){5, 50, 0}, 3 * sizeof(uint64_t));
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "select mobeye.journal_rewind('11223344-5566-7788-99aa-bbccddeeff01', 0, 0)");
    RIG_WAIT(&rig, owner.positions == 2 && OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 2);
    cr_expect_eq(owner.duplicate, 50);
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "2");
    owner_stop(&owner);
}

static void bad_bytes(struct batch_row *row, uint64_t seq)
{
    if (seq % 20 == 3)
        row->alert.source = STR("caf\xe9");
    else if (seq % 20 == 9)
        row->alert.payload = STR("{\"text\": \"caf\xe9\"}");
}

Test(refused, bytes_that_are_no_text_are_kept_without_a_description)
{
    struct owner owner = {.total = 100, .change = bad_bytes};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 90);
    cr_expect_eq(owner.quarantined, 10);
    RIG_EXPECT(&rig,
               "select string_agg(distinct concat_ws(' ', sqlstate, source is null, identity is null), ';') from "
               "mobeye.quarantine",
               "22021 t f");
    owner_stop(&owner);
}

/* Without a line in the message: the trigger sees the COPY as a whole. */
Test(refused, an_error_without_a_line_is_halved_down_to_its_row)
{
    struct owner owner = {.total = 120, .change = poisoned};
    memcpy(poison, (uint64_t[]){1, 60, 61, 100, 120, 0}, 6 * sizeof(uint64_t));
    rig_sql(&rig, "alter table mobeye.alert drop constraint no_poison");
    rig_sql(&rig,
            "create function mobeye.no_poison() returns trigger language plpgsql as $$ begin "
            "if exists (select from fresh where device_id = 'POISON') then raise exception 'poison' using errcode = "
            "'22000'; end if; return null; end $$");
    rig_sql(&rig,
            "create trigger no_poison after insert on mobeye.alert referencing new table as fresh for each statement "
            "execute function mobeye.no_poison()");
    rig_sql(&rig,
            "grant execute on function mobeye.no_poison() to public; grant select on mobeye.alert to mobeye_ingest");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_all_but_poison(&owner);
    owner_stop(&owner);
}

Test(refused, a_table_that_refuses_even_no_rows_is_no_rows_fault)
{
    struct owner owner = {.total = 20};
    rig_sql(&rig, "create function mobeye.never() returns trigger language plpgsql as $$ begin "
                  "raise exception 'never' using errcode = '22000'; end $$");
    rig_sql(&rig, "create trigger never before insert on mobeye.alert_identity for each statement execute function "
                  "mobeye.never()");
    rig_sql(&rig, "grant execute on function mobeye.never() to public");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "never"));
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "0");
    rig_sql(&rig, "drop trigger never on mobeye.alert_identity");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 20);
    owner_stop(&owner);
}

Test(refused, a_quarantine_that_refuses_the_record_holds_the_batch)
{
    struct owner owner = {.total = 20, .change = poisoned};
    memcpy(poison, (uint64_t[]){7, 0}, 2 * sizeof(uint64_t));
    rig_sql(&rig, "alter table mobeye.quarantine add constraint none check (record is null)");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "waiting: "));
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "violates check constraint \"none\""));
    cr_expect_eq(owner.stored_seq, 0);
    rig_sql(&rig, "alter table mobeye.quarantine drop constraint none");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_all_but_poison(&owner);
    owner_stop(&owner);
}

/* The server refuses while most of the batch is still to be sent, more than fits into any buffer. */
Test(refused, a_refusal_early_in_a_long_copy_is_heard)
{
    struct owner owner = {.total = 8000, .batch_rows = 8000, .change = poisoned};
    memcpy(poison, (uint64_t[]){3, 4000, 0}, 3 * sizeof(uint64_t));
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_all_but_poison(&owner);
    owner_stop(&owner);
}
