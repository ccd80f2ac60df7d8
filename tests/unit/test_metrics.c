/* The counters, their text, and the laws between them. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/metrics.h"

static const char *const codes[] = {"malformed", "invalid"};
static struct metrics *metrics;

static void setup(void)
{
    metrics = metrics_new((struct metrics_words){codes, 2}, (struct metrics_words){codes, 2},
                          (struct metrics_words){codes, 2});
}

static void teardown(void)
{
    metrics_free(&metrics);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static bool text_has(const char *wanted)
{
    struct buf out = {0};
    metrics_write(metrics, &out);
    buf_append(&out, "", 1);
    bool found = strstr(out.data, wanted) != NULL;
    buf_free(&out);
    return found;
}

Test(metrics, an_endpoint_is_found_again_by_its_name)
{
    struct metrics_endpoint *cameras = metrics_endpoint(metrics, "cameras");
    cr_assert_neq(metrics_endpoint(metrics, "portal"), cameras);
    cr_assert_eq(metrics_endpoint(metrics, "cameras"), cameras);
}

Test(metrics, every_line_has_its_labels)
{
    struct metrics_endpoint *cameras = metrics_endpoint(metrics, "cameras");
    cameras->received_total = 7;
    cameras->rejected_total[1] = 3;
    metrics->journal_pending = 12;
    metrics->maintenance_failures_total[1] = 4;
    cr_assert(text_has("\nmobeyed_maintenance_failures_total{job=\"malformed\"} 0\n"));
    cr_assert(text_has("\nmobeyed_maintenance_failures_total{job=\"invalid\"} 4\n"));
    cr_assert(text_has("\nmobeyed_received_total{endpoint=\"cameras\"} 7\n"));
    cr_assert(text_has("\nmobeyed_rejected_total{endpoint=\"cameras\",code=\"malformed\"} 0\n"));
    cr_assert(text_has("\nmobeyed_rejected_total{endpoint=\"cameras\",code=\"invalid\"} 3\n"));
    cr_assert(text_has("\nmobeyed_journal_pending 12\n"));
    cr_assert(text_has("# TYPE mobeyed_journal_pending gauge\n"));
    cr_assert(text_has("# TYPE mobeyed_committed_total counter\n"));
}

Test(metrics, a_label_value_is_escaped)
{
    metrics_endpoint(metrics, "a\"b\\c\nd");
    cr_assert(text_has("mobeyed_received_total{endpoint=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

Test(metrics, the_histogram_is_cumulative_and_its_bounds_are_inclusive)
{
    metrics_ack(metrics, 100, 2);
    metrics_ack(metrics, 101, 1);
    metrics_ack(metrics, 2000000, 4);
    cr_assert(text_has("mobeyed_ack_seconds_bucket{le=\"0.0001\"} 2\n"));
    cr_assert(text_has("mobeyed_ack_seconds_bucket{le=\"0.00025\"} 3\n"));
    cr_assert(text_has("mobeyed_ack_seconds_bucket{le=\"1\"} 3\n"));
    cr_assert(text_has("mobeyed_ack_seconds_bucket{le=\"+Inf\"} 7\n"));
    cr_assert(text_has("mobeyed_ack_seconds_count 7\n"));
    cr_assert(text_has("mobeyed_ack_seconds_sum 8.000301\n"));
}

Test(metrics, the_law_of_intake)
{
    struct metrics_endpoint *a = metrics_endpoint(metrics, "a"), *b = metrics_endpoint(metrics, "b");
    cr_assert(metrics_balanced(metrics, NULL));
    a->received_total = 10;
    b->received_total = 1;
    struct buf why = {0};
    cr_assert_not(metrics_balanced(metrics, &why));
    cr_assert_eq(memcmp(why.data, "received 11 ", 12), 0);
    buf_free(&why);
    a->rejected_total[0] = 2;
    b->retry_total = 1;
    metrics->journaled_total = 5;
    metrics->journal_pending = 5;
    metrics->in_flight = 3;
    cr_assert(metrics_balanced(metrics, NULL));
}

Test(metrics, the_law_of_storing)
{
    metrics->recovered_total = 4;
    cr_assert_not(metrics_balanced(metrics, NULL));
    metrics->committed_total = 1;
    metrics->duplicate_total = 1;
    metrics->quarantined_total = 1;
    cr_assert_not(metrics_balanced(metrics, NULL));
    metrics->journal_pending = 1;
    cr_assert(metrics_balanced(metrics, NULL));
}
