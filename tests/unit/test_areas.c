/* Which areas a place is in. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "area_rig.h"

static struct area_rows *rows;
static struct area_set *set;
static struct area_memo *memo;
static struct batch *batch;

static void setup(void)
{
    rows = area_rows_new();
    memo = area_memo_new();
    batch = batch_new(1);
    set = NULL;
}

static void teardown(void)
{
    area_rows_free(&rows);
    area_set_free(&set);
    area_memo_free(&memo);
    batch_free(&batch);
}

TestSuite(areas, .init = setup, .fini = teardown);

#define SQUARE "POLYGON((0 0,4 0,4 4,0 4,0 0))"

static void build(void)
{
    set = area_set_build(rows);
}

static void expect_at(double lon, double lat, int64_t at_us, const char *expected)
{
    const char *found = area_rig_text(batch, areas_find(set, memo, batch, lon, lat, at_us));
    cr_expect_str_eq(found, expected, "%g %g at %ld: \"%s\", not \"%s\"", lon, lat, (long)at_us, found, expected);
}

static void expect(double lon, double lat, const char *expected)
{
    expect_at(lon, lat, 0, expected);
}

Test(areas, without_areas_nothing_is_found)
{
    build();
    expect(1, 1, "");
    cr_expect_eq(area_set_count(set), 0);
}

Test(areas, the_inside_and_the_edge_are_in_it_and_nothing_else)
{
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    build();
    expect(2, 2, "wijk=WK1");
    expect(0, 2, "wijk=WK1");
    expect(4, 4, "wijk=WK1");
    expect(4.0000001, 4, "");
    expect(-0.0000001, 2, "");
}

Test(areas, a_hole_is_not_in_it_and_its_edge_is)
{
    area_rig_always(rows, "wijk", "WK1", "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,3 1,3 3,1 3,1 1))");
    build();
    expect(2, 2, "");
    expect(1, 2, "wijk=WK1");
    expect(0.5, 2, "wijk=WK1");
}

Test(areas, all_parts_of_a_multipolygon_are_in_it)
{
    area_rig_always(rows, "wijk", "WK1", "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)),((3 3,4 3,4 4,3 4,3 3)))");
    build();
    expect(0.5, 0.5, "wijk=WK1");
    expect(3.5, 3.5, "wijk=WK1");
    expect(2, 2, "");
}

Test(areas, on_a_shared_border_the_lowest_code_is_taken)
{
    area_rig_always(rows, "wijk", "WK9", SQUARE);
    area_rig_always(rows, "wijk", "WK10", "POLYGON((4 0,8 0,8 4,4 4,4 0))");
    area_rig_always(rows, "wijk", "WK2", "POLYGON((0 4,4 4,4 8,0 8,0 4))");
    build();
    expect(4, 2, "wijk=WK10");
    expect(2, 4, "wijk=WK2");
    expect(4, 4, "wijk=WK10");
    expect(3.99, 3.99, "wijk=WK9");
}

Test(areas, every_layer_is_asked_and_they_come_sorted)
{
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    area_rig_always(rows, "hotspot", "H1", "POLYGON((1 1,2 1,2 2,1 2,1 1))");
    area_rig_always(rows, "buurt", "BU1", SQUARE);
    build();
    expect(1.5, 1.5, "buurt=BU1 hotspot=H1 wijk=WK1");
    expect(3, 3, "buurt=BU1 wijk=WK1");
}

Test(areas, the_newest_vintage_that_holds_then_is_taken)
{
    area_rig_add(rows, "wijk", "A", SQUARE, 2014, 1000, 2000);
    area_rig_add(rows, "wijk", "B", SQUARE, 2022, 2000, INT64_MAX);
    area_rig_add(rows, "wijk", "C", SQUARE, NO_VINTAGE, INT64_MIN, INT64_MAX);
    build();
    expect_at(2, 2, 999, "wijk=C");
    expect_at(2, 2, 1000, "wijk=A");
    expect_at(2, 2, 1999, "wijk=A");
    expect_at(2, 2, 2000, "wijk=B");
    expect_at(2, 2, INT64_MAX - 1, "wijk=B");
}

Test(areas, areas_of_one_vintage_each_hold_in_their_own_time)
{
    area_rig_add(rows, "hotspot", "B", SQUARE, NO_VINTAGE, 0, 10);
    area_rig_add(rows, "hotspot", "A", SQUARE, NO_VINTAGE, 5, 15);
    build();
    expect_at(2, 2, 4, "hotspot=B");
    expect_at(2, 2, 5, "hotspot=A");
    expect_at(2, 2, 14, "hotspot=A");
    expect_at(2, 2, 15, "");
}

Test(areas, what_cannot_be_used_is_left_out_and_named)
{
    area_rig_always(rows, "wijk", "line", "LINESTRING(0 0,4 4)");
    area_rig_always(rows, "wijk", "empty", "MULTIPOLYGON EMPTY");
    struct area_row row = {.vintage = NO_VINTAGE, .from_us = INT64_MIN, .until_us = INT64_MAX};
    area_rows_add(rows, row, STR("buurt"), STR("cut off"), STR("\1\6\0"));
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    build();
    cr_expect_eq(area_set_count(set), 1);
    cr_assert_eq(area_set_n_left_out(set), 3);
    const char *begins[] = {"wijk/line", "wijk/empty", "buurt/cut off"};
    for (size_t i = 0; i < 3; i++)
        cr_expect(strncmp(area_set_left_out(set, i), begins[i], strlen(begins[i])) == 0, "%s",
                  area_set_left_out(set, i));
    cr_expect_null(area_set_left_out(set, 3));
    expect(2, 2, "wijk=WK1");
}

Test(areas, many_layers_and_many_polygons_are_told_apart)
{
    char code[16], layer[16], wkt[128], expected[32];
    for (int i = 0; i < 3000; i++) {
        int x = i % 50, y = i / 50;
        snprintf(layer, sizeof(layer), "layer%d", i % 3);
        snprintf(code, sizeof(code), "C%d", i);
        snprintf(wkt, sizeof(wkt), "POLYGON((%d %d,%d %d,%d %d,%d %d,%d %d))", x, y, x + 1, y, x + 1, y + 1, x, y + 1,
                 x, y);
        area_rig_always(rows, layer, code, wkt);
    }
    build();
    for (int i = 0; i < 3000; i++) {
        snprintf(expected, sizeof(expected), "layer%d=C%d", i % 3, i);
        expect(i % 50 + 0.5, i / 50 + 0.5, expected);
    }
}

Test(areas, what_alerts_of_a_batch_have_in_common_is_kept_once)
{
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    area_rig_always(rows, "buurt", "BU1", "POLYGON((0 0,2 0,2 2,0 2,0 0))");
    build();
    const struct alert_areas *both = areas_find(set, memo, batch, 1, 1, 0);
    cr_expect_eq(areas_find(set, memo, batch, 1.5, 1, 0), both);
    cr_expect_neq(areas_find(set, memo, batch, 3, 1, 0), both);
    area_memo_clear(memo);
    cr_expect_neq(areas_find(set, memo, batch, 1, 1, 0), both);
}

Test(areas, what_was_found_stays_when_the_set_and_the_rows_are_gone)
{
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    build();
    const struct alert_areas *found = areas_find(set, memo, batch, 1, 1, 0);
    area_set_free(&set);
    area_rows_free(&rows);
    cr_expect_str_eq(area_rig_text(batch, found), "wijk=WK1");
}

static void *build_aside(void *arg)
{
    return area_set_build(arg);
}

Test(areas, a_set_that_another_thread_built_is_used_here)
{
    pthread_t thread;
    void *built;
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    cr_assert_eq(pthread_create(&thread, NULL, build_aside, rows), 0);
    cr_assert_eq(pthread_join(thread, &built), 0);
    set = built;
    area_rows_free(&rows);
    expect(2, 2, "wijk=WK1");
}

Test(areas, equal_rows_have_the_digest_of_each_other_and_others_have_not)
{
    struct area_rows *other = area_rows_new();
    area_rig_always(rows, "wijk", "WK1", SQUARE);
    area_rig_always(other, "wijk", "WK1", SQUARE);
    other->version = 7;
    cr_expect_eq(area_rows_digest(rows), area_rows_digest(other));
    other->rows[0].vintage = 2014;
    cr_expect_neq(area_rows_digest(rows), area_rows_digest(other));
    area_rows_free(&other);
}
