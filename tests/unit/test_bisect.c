/* The search for refused rows, with a bit mask in place of the database. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/bisect.h"

enum { ROWS_MAX = 400 };

/* What the database would do: a row is refused for itself, or for its incident. */
struct pretended {
    size_t n;
    bool bad_row[ROWS_MAX], bad_incident[ROWS_MAX];
    bool tells_row; /* an error names the row, as COPY does as a rule */
    bool left_out[ROWS_MAX];
    unsigned tries;
};

/* The nth row that is not left out, as an error names it. */
static size_t first_bad(const struct pretended *p, size_t first, size_t stop)
{
    while (first < stop && (p->left_out[first] || !p->bad_row[first]))
        first++;
    return first;
}

static size_t rows_in(const struct pretended *p, size_t first, size_t stop, size_t *ret_last)
{
    size_t n = 0;
    for (; first < stop; first++)
        if (!p->left_out[first]) {
            *ret_last = first;
            n++;
        }
    return n;
}

static void refuse_piece(struct pretended *p, struct bisect *b)
{
    size_t row = 0, tried = rows_in(p, b->base, b->stop, &row);
    cr_assert_gt(tried, 0u);
    if (p->tells_row)
        row = first_bad(p, b->base, b->stop);
    if (p->tells_row || tried == 1) {
        p->left_out[row] = true;
        bisect_piece_refused(b, row);
    } else {
        bisect_halve_piece(b);
    }
}

static void find_rows(struct pretended *p, struct bisect *b)
{
    bisect_begin_rows(b);
    while (bisect_next_piece(b)) {
        cr_assert(b->base <= b->good && b->good <= b->stop && b->stop <= b->n && b->base < b->stop);
        p->tries++;
        if (first_bad(p, b->base, b->stop) < b->stop)
            refuse_piece(p, b);
        else
            bisect_piece_stored(b);
    }
    cr_assert_eq(b->phase, BISECT_KNOWN);
}

static bool incidents_refused(const struct pretended *p, size_t prefix)
{
    for (size_t i = 0; i < prefix; i++)
        if (!p->left_out[i] && p->bad_incident[i])
            return true;
    return false;
}

static void find_incidents(struct pretended *p, struct bisect *b)
{
    while (incidents_refused(p, p->n)) {
        enum bisect_verdict verdict = bisect_prefix_refused(b);
        while (verdict == BISECT_TRY_PREFIX) {
            p->tries++;
            verdict = incidents_refused(p, b->prefix) ? bisect_prefix_refused(b) : bisect_prefix_stored(b);
        }
        cr_assert_eq(verdict, BISECT_ROW_FOUND);
        p->left_out[b->good_prefix] = true;
        bisect_leave_out_row(b);
        cr_assert_eq(b->phase, BISECT_KNOWN);
    }
}

static void expect_found(const struct pretended *p)
{
    for (size_t i = 0; i < p->n; i++)
        cr_assert_eq(p->left_out[i], p->bad_row[i] || p->bad_incident[i], "row %zu of %zu", i, p->n);
}

static struct pretended some(unsigned seed, size_t n, unsigned one_in)
{
    struct pretended p = {.n = n, .tells_row = seed % 2 == 0};
    srandom(seed);
    for (size_t i = 0; i < n; i++) {
        p.bad_row[i] = (unsigned)random() % one_in == 0;
        p.bad_incident[i] = (unsigned)random() % (4 * one_in) == 0;
    }
    return p;
}

Test(bisect, exactly_the_refused_rows_are_found)
{
    static const unsigned one_in[] = {1, 2, 10, 100};
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct pretended p = some(seed, 1 + seed % ROWS_MAX, one_in[seed % 4]);
        struct bisect b;
        bisect_reset(&b, p.n);
        find_rows(&p, &b);
        find_incidents(&p, &b);
        expect_found(&p);
    }
}

Test(bisect, one_refused_row_takes_few_tries)
{
    for (size_t row = 0; row < ROWS_MAX; row++) {
        struct pretended p = {.n = ROWS_MAX}, named = {.n = ROWS_MAX, .tells_row = true}, incident = {.n = ROWS_MAX};
        struct bisect b;
        p.bad_row[row] = named.bad_row[row] = incident.bad_incident[row] = true;
        bisect_reset(&b, p.n);
        find_rows(&p, &b);
        expect_found(&p);
        cr_expect_leq(p.tries, 40u, "row %zu: %u tries", row, p.tries);
        bisect_reset(&b, named.n);
        find_rows(&named, &b);
        cr_expect_leq(named.tries, 10u, "row %zu: %u tries", row, named.tries);
        bisect_reset(&b, incident.n);
        find_incidents(&incident, &b);
        expect_found(&incident);
        cr_expect_leq(incident.tries, 9u, "row %zu: %u tries", row, incident.tries);
    }
}

Test(bisect, incidents_that_no_row_is_to_blame_for_end_the_search)
{
    struct bisect b;
    bisect_reset(&b, 1);
    cr_expect_eq(bisect_prefix_refused(&b), BISECT_ROW_FOUND);
    bisect_leave_out_row(&b);
    cr_expect_eq(bisect_prefix_refused(&b), BISECT_NO_ROW);
}
