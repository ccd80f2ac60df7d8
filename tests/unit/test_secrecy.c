/* An incident is as secret as the most secret of its alerts. */
#include "writer_steps.h"

/* Each from another device, since a device placed elsewhere begins a new incident. */
static const struct {
    const char *device;
    uint64_t placement;
    const char *team; /* NULL: its place is not secret */
} places[] = {{"NL-1", 3, NULL}, {"NL-2", 7, "noord"}, {"NL-3", 8, "noord"}, {"NL-4", 9, "zuid"}};

static void change(struct batch_row *row, uint64_t seq)
{
    play(row, &(struct step){(int)seq, places[seq - 1].device, KIND_MOTION, PHASE_RAISE, 1, &endpoint_rule, 0, 0, 0});
    row->alert.placement_id = places[seq - 1].placement;
    row->alert.secret = row->alert.secret_placement = places[seq - 1].team != NULL;
    if (places[seq - 1].team)
        row->alert.placement_team = str_from(places[seq - 1].team);
}

/* The incident of the first n alerts. */
static void correlate_first(uint64_t n, struct incident *ret)
{
    struct owner owner = {.tag = "a", .change = change};
    struct incident_set set = {0};
    struct batch *batch = batch_new(STEPS(places));
    static const uint8_t store[STEPS(places)] = {1, 1, 1, 1};
    buf_reserve(&batch->bytes, STEPS(places) * RIG_ROW_BYTES);
    for (uint64_t seq = 1; seq <= n; seq++)
        owner_row(&owner, batch, seq);
    correlate(&set, batch, store);
    cr_assert_eq(set.n_incidents, 1);
    *ret = set.incidents[0];
    incident_set_free(&set);
    batch_free(&batch);
}

Test(secrecy, of_an_incident_is_that_of_its_first_secret_placement)
{
    struct incident incident;
    correlate_first(1, &incident);
    cr_expect_eq(incident.secret_placement_id, 0, "nothing in it is secret");
    correlate_first(2, &incident);
    cr_expect_eq(incident.secret_placement_id, 7);
    cr_expect(str_is(incident.secret_team, "noord"));
    correlate_first(3, &incident);
    cr_expect_eq(incident.secret_placement_id, 7);
    cr_expect_not(incident.secret_of_several, "the other one is the same team's");
    correlate_first(4, &incident);
    cr_expect_eq(incident.secret_placement_id, 7);
    cr_expect(incident.secret_of_several, "no one team may know of both");
}
