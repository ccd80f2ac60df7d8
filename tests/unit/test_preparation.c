/* A batch is prepared some rows at a time, and all of it with the same registry and rules. */
#include <math.h>

#include <criterion/criterion.h>

#include "flow/preparation.h"
#include "model/record.h"

enum { ALERTS = 1500 };

#define ANY                                                                                                            \
    {                                                                                                                  \
        .registered = -1, .located = -1, .drill = -1, .image = -1, .score_min = NAN, .score_below = NAN                \
    }

static struct conf_rule rules_before[] = {{.name = (char *)"before", .match = ANY}},
                        rules_after[] = {{.name = (char *)"after", .match = ANY}};

static struct conf conf_with(struct conf_rule *rules)
{
    return (struct conf){
        .database = {.conninfo = (char *)"host=/nonexistent"}, .instance = (char *)"i", .rules = rules, .n_rules = 1};
}

static struct conf before, after;
static struct loop *loop;
static struct reference_data *reference;
static struct preparation *preparation;
static struct batch *batch;

static void on_current(void *ctx)
{
    (void)ctx;
}

static void open_all(void)
{
    struct err err;
    struct buf record = {0};
    struct alert alert = {ALERT_UNSET,
                          .format = ALERT_CLOUDEVENTS,
                          .source = STR("/s"),
                          .event_id = STR("e"),
                          .device = STR("d"),
                          .kind_word = STR("motion"),
                          .kind = KIND_MOTION,
                          .payload = STR("{}"),
                          .endpoint = STR("door"),
                          .occurred_us = 1,
                          .received_us = 1};
    before = conf_with(rules_before);
    after = conf_with(rules_after);
    loop = loop_new(&err);
    cr_assert_not_null(loop);
    reference = reference_data_new(loop, &before, on_current, NULL, &err);
    cr_assert_not_null(reference, "%s", err.text);
    preparation = preparation_new(reference, &before);
    batch = batch_new(ALERTS);
    record_pack(&record, &alert);
    buf_append_str(&batch->bytes, buf_str(&record));
    buf_free(&record);
    for (batch->n = 0; batch->n < ALERTS; batch->n++)
        batch->rows[batch->n] = (struct batch_row){.record = buf_str(&batch->bytes), .alert = {.seq = batch->n + 1}};
    preparation_begin(preparation, batch);
}

static void close_all(void)
{
    preparation_take(preparation); /* the batch is ours */
    preparation_free(&preparation);
    reference_data_free(&reference);
    batch_free(&batch);
    loop_free(&loop);
}

TestSuite(preparation, .init = open_all, .fini = close_all);

/* The number of steps that it takes; then the batch is complete. */
static size_t finish(void)
{
    size_t steps = 1;
    for (; !preparation_step(preparation); steps++)
        cr_assert_lt(steps, (size_t)ALERTS);
    cr_assert(preparation_busy(preparation), "a complete batch waits to be taken");
    return steps;
}

static void expect_rules(const char *rule)
{
    for (size_t i = 0; i < ALERTS; i++)
        cr_assert(str_is(batch->rows[i].alert.rule, rule), "row %zu", i);
}

Test(preparation, takes_several_steps_and_keeps_the_numbers)
{
    cr_expect_gt(finish(), 2u);
    expect_rules("before");
    cr_expect_eq(batch->rows[ALERTS - 1].alert.seq, (uint64_t)ALERTS);
}

Test(preparation, begins_again_with_other_rules)
{
    cr_expect_not(preparation_step(preparation));
    size_t whole = 3;
    preparation_reload(preparation, &after);
    cr_expect_eq(finish(), whole);
    expect_rules("after");
}

Test(preparation, begins_again_with_other_rules_while_it_waits_complete)
{
    finish();
    expect_rules("before");
    preparation_reload(preparation, &after);
    finish();
    expect_rules("after");
    cr_expect_eq(preparation_take(preparation), batch);
}

Test(preparation, begins_again_with_another_registry)
{
    cr_expect_not(preparation_step(preparation));
    struct registry *registry = reference_data_registry(reference);
    registry_put(registry, &(struct registry_entry){.id = STR("d"), .registered = true});
    registry->version++;
    finish();
    for (size_t i = 0; i < ALERTS; i++)
        cr_assert(batch->rows[i].alert.registered, "row %zu", i);
    cr_expect_eq(batch->registry_version, registry->version);
}

Test(preparation, does_not_grow_while_a_batch_that_waits_is_prepared_again)
{
    finish();
    const char *memory = batch->rows[0].alert.rule.p;
    for (int i = 0; i < 4; i++) {
        preparation_reload(preparation, i % 2 ? &before : &after);
        finish();
        cr_assert_eq(batch->rows[0].alert.rule.p, memory, "the memory of the attempt before is used again");
    }
    expect_rules("before");
}

Test(preparation, gives_a_batch_back_unfinished)
{
    cr_expect_not(preparation_step(preparation));
    cr_expect_eq(preparation_take(preparation), batch);
    cr_expect(!preparation_busy(preparation));
    cr_expect_null(preparation_take(preparation));
}
