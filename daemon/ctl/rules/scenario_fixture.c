/* The state before a scenario begins: registry and areas, in the form that the daemon keeps in memory. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/rules/scenario_backend.h"

/* The default of `from`. */
#define LONG_AGO_US (30 * 365 * CLOCK_DAY)

static int time_of(const struct written_time *time, int64_t otherwise_us, int64_t *ret_us, struct err *err)
{
    struct written_time none = {0};
    *ret_us = otherwise_us;
    return time->given ? written_time_us(time, &none, ret_us, err) : 0;
}

static struct fixture_device *find_device(struct fixture *fixture, const char *id)
{
    for (size_t i = 0; i < fixture->n_devices; i++)
        if (strcmp(fixture->devices[i].device->id, id) == 0)
            return &fixture->devices[i];
    return NULL;
}

static int add_placement(struct fixture *fixture, struct fixture_device *to, const struct scenario_device *device,
                         struct err *err)
{
    uint64_t id = 1;
    for (size_t i = 0; i < fixture->n_devices; i++)
        id += fixture->devices[i].n_placements;
    struct placement added = {.id = id, .lon = device->place.lon, .lat = device->place.lat};
    added.team = registry_word(fixture->registry, str_from(device->team));
    if (time_of(&device->from, LONG_AGO_US, &added.from_us, err) < 0 ||
        time_of(&device->until, INT64_MAX, &added.until_us, err) < 0)
        return -1;
    to->placements = mem_realloc(to->placements, to->n_placements + 1, sizeof(*to->placements));
    size_t at = to->n_placements++;
    for (; at > 0 && to->placements[at - 1].from_us > added.from_us; at--)
        to->placements[at] = to->placements[at - 1];
    to->placements[at] = added;
    bool overlaps = (at > 0 && to->placements[at - 1].until_us > added.from_us) ||
                    (at + 1 < to->n_placements && to->placements[at + 1].from_us < added.until_us);
    return overlaps ? err_set(err, "%s has overlapping placements", device->id) : 0;
}

static int add_device(struct fixture *fixture, const struct scenario_device *device, struct err *err)
{
    if (find_device(fixture, device->id))
        return err_set(err, "%s: duplicate device", device->id);
    fixture->devices = mem_realloc(fixture->devices, fixture->n_devices + 1, sizeof(*fixture->devices));
    struct fixture_device *added = &fixture->devices[fixture->n_devices++];
    *added = (struct fixture_device){.device = device};
    if (time_of(&device->registered, LONG_AGO_US, &added->registered_us, err) < 0)
        return -1;
    return device->place.given ? add_placement(fixture, added, device, err) : 0;
}

static void put_u32(struct buf *buf, uint32_t v)
{
    buf_append(buf, &v, sizeof(v));
}

/* Appends one ring as well-known binary, in the byte order of this machine. */
static void append_polygon(struct buf *wkb, const struct written_place *points, size_t n)
{
    const uint8_t little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    buf_append(wkb, &little, 1);
    put_u32(wkb, 3); /* a polygon */
    put_u32(wkb, 1);
    put_u32(wkb, (uint32_t)n + 1);
    for (size_t i = 0; i <= n; i++) {
        buf_append(wkb, &points[i % n].lon, sizeof(double));
        buf_append(wkb, &points[i % n].lat, sizeof(double));
    }
}

static void add_area(struct fixture *fixture, const struct scenario *scenario, const struct scenario_area *area)
{
    struct buf wkb = {0};
    append_polygon(&wkb, scenario->points + area->first_point, area->n_points);
    area_rows_add(fixture->area_rows,
                  (struct area_row){.vintage = INT32_MIN, .from_us = INT64_MIN, .until_us = INT64_MAX},
                  str_from(area->layer), str_from(area->code), buf_str(&wkb));
    buf_free(&wkb);
}

/* Keeps the teams ordered by name. */
static void add_team(struct fixture *fixture, const struct step *step)
{
    size_t at = fixture->n_teams++;
    fixture->teams = mem_realloc(fixture->teams, fixture->n_teams, sizeof(*fixture->teams));
    fixture->team_names = mem_realloc(fixture->team_names, fixture->n_teams, sizeof(*fixture->team_names));
    for (; at > 0 && strcmp(fixture->team_names[at - 1], step->word) > 0; at--) {
        fixture->teams[at] = fixture->teams[at - 1];
        fixture->team_names[at] = fixture->team_names[at - 1];
    }
    fixture->teams[at] = &step->area;
    fixture->team_names[at] = step->word;
}

static int read_step(struct fixture *fixture, const struct scenario *scenario, const struct step *step, struct err *err)
{
    struct fixture_device *device;
    switch (step->kind) {
    case STEP_DEVICE:
        return add_device(fixture, &step->device, err);
    case STEP_PLACE:
        device = find_device(fixture, step->device.id);
        if (!device)
            return err_set(err, "device %s does not exist (expected one declared before)", step->device.id);
        return add_placement(fixture, device, &step->device, err);
    case STEP_AREA:
        add_area(fixture, scenario, &step->area);
        return 0;
    case STEP_TEAM:
        add_team(fixture, step);
        return 0;
    default:
        return 0;
    }
}

static void register_devices(struct fixture *fixture)
{
    registry_load_begin(fixture->registry);
    for (size_t i = 0; i < fixture->n_devices; i++) {
        const struct fixture_device *from = &fixture->devices[i];
        const struct scenario_device *device = from->device;
        struct dc09_address_holding address = {.from_us = INT64_MIN, .until_us = INT64_MAX};
        struct registry_entry entry = {.id = str_from(device->id),
                                       .registered = true,
                                       .group = registry_word(fixture->registry, str_from(device->group)),
                                       .placements = from->placements,
                                       .n_placements = from->n_placements,
                                       .addresses = &address,
                                       .n_addresses = device->account != NULL};
        if (device->account)
            dc09_address_make(&address.address, str_from(device->account), device->input);
        registry_put(fixture->registry, &entry);
    }
    registry_load_end(fixture->registry);
}

int fixture_read(struct fixture *fixture, const struct scenario *scenario, size_t first, size_t end,
                 const struct step **ret_step, struct err *err)
{
    size_t shared = 0;
    while (shared < scenario->n && scenario->steps[shared].kind != STEP_SCENARIO)
        shared++;
    *fixture = (struct fixture){.registry = registry_new(), .area_rows = area_rows_new()};
    for (size_t i = 0; i < end; i++) {
        if (i >= shared && i < first)
            continue;
        *ret_step = &scenario->steps[i];
        if (read_step(fixture, scenario, &scenario->steps[i], err) < 0)
            return -1;
    }
    register_devices(fixture);
    fixture->areas = area_set_build(fixture->area_rows);
    if (area_set_n_left_out(fixture->areas) > 0)
        return err_set(err, "area %s", area_set_left_out(fixture->areas, 0));
    return 0;
}

void fixture_free(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->n_devices; i++)
        free(fixture->devices[i].placements);
    free(fixture->devices);
    free(fixture->teams);
    free(fixture->team_names);
    area_set_free(&fixture->areas);
    registry_free(&fixture->registry);
    area_rows_free(&fixture->area_rows);
}
