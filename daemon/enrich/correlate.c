#include "enrich/correlate.h"

#include <math.h>
#include <string.h>

#include "enrich/correlate_index.h"
#include "enrich/incident_key.h"
#include "enrich/incident_place.h"
#include "model/distance.h"

struct correlation {
    struct incident_set *set;
    struct correlate_index index;
};

/* The incident that an alert joins, or, if a new one must be created, the one that a person had closed before. */
struct choice {
    size_t incident; /* NO_INCIDENT: none */
    size_t previous; /* NO_INCIDENT: none */
};

static struct incident *incident_at(const struct correlation *correlation, size_t i)
{
    return &correlation->set->incidents[i];
}

static struct condition *condition_at(const struct correlation *correlation, size_t i)
{
    return &correlation->set->conditions[i];
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Within the gap, with the whole incident within max_age; in both directions, since alerts may arrive late. */
static bool within_gap(const struct incident *incident, int64_t occurred_us)
{
    const struct incident_terms *terms = &incident->terms;
    if (occurred_us < incident->first_seen_us - terms->gap_us || occurred_us > incident->last_seen_us + terms->gap_us)
        return false;
    return terms->max_age_us == 0 || (occurred_us - incident->first_seen_us <= terms->max_age_us &&
                                      incident->last_seen_us - occurred_us <= terms->max_age_us);
}

/* The device is at another home, which the people at the first one, and their team, might not know about; or either the
 * incident or the alert is from before it was placed anywhere, as in the van. (A placement may be entered afterwards; a
 * device without one because it was retrieved has not moved.) */
static bool is_placed_elsewhere(const struct incident *incident, const struct alert *alert)
{
    if (!str_eq(incident->device, alert->device))
        return false;
    if (alert->placement_id == 0)
        return incident->device_placement_id != 0 && alert->occurred_us < incident->device_placed_us;
    if (incident->device_placement_id != 0)
        return alert->placement_id != incident->device_placement_id;
    return incident->first_seen_us < alert->placed_us || incident->first_seen_us >= alert->placed_until_us;
}

/* Only the device that began the incident can move away from it. */
static bool moved_away(const struct incident *incident, const struct alert *alert)
{
    double limit_m = incident->terms.moved_over_m;
    if (is_placed_elsewhere(incident, alert))
        return true;
    return limit_m > 0 && incident->place.source != LOCATION_NONE && alert->place.source != LOCATION_NONE &&
           str_eq(incident->device, alert->device) &&
           distance_m(incident->place.lon, incident->place.lat, alert->place.lon, alert->place.lat) > limit_m;
}

static bool belongs(const struct incident *incident, const struct alert *alert)
{
    return within_gap(incident, alert->occurred_us) && !moved_away(incident, alert);
}

/* A raise whose rule has category alarm is for a patrol: it must not be hidden in a service incident. */
static bool hides_alert(const struct incident *incident, const struct alert *alert)
{
    return alert->phase == PHASE_RAISE && alert->terms && alert->terms->category == CATEGORY_ALARM &&
           incident->terms.category == CATEGORY_SERVICE;
}

static bool accepts_alert(const struct incident *incident, const struct alert *alert)
{
    return incident->accepting && !hides_alert(incident, alert) && belongs(incident, alert);
}

/* Whether `settle` lets the alert join an incident that a person has closed. Panic and holdup never do. */
static bool joins_closed(const struct incident *incident, const struct alert *alert)
{
    bool urgent = alert->phase != PHASE_RESTORE && (alert->kind == KIND_PANIC || alert->kind == KIND_HOLDUP);
    return !urgent && alert->received_us <= incident->closed_us + incident->terms.settle_us;
}

static int64_t time_between(const struct incident *incident, int64_t occurred_us)
{
    return max_i64(0, max_i64(incident->first_seen_us - occurred_us, occurred_us - incident->last_seen_us));
}

/* A general alert concerns a device and kind as a whole: it has no input and no track. */
static bool is_general(const struct alert *alert)
{
    return alert->input == ALERT_NO_INT && alert->camera.track.len == 0;
}

/* Chooses the incident if it is nearer than the one chosen so far. It no longer accepts alerts, and the system did not
 * close it. */
static void consider_past_incident(const struct correlation *correlation, const struct alert *alert, size_t i,
                                   struct choice *choice)
{
    const struct incident *incident = incident_at(correlation, i);
    if (incident->accepting || !belongs(incident, alert))
        return;
    bool joins = !hides_alert(incident, alert) && (!incident->closed || joins_closed(incident, alert));
    if (!joins && !incident->closed)
        return;
    size_t *best = joins ? &choice->incident : &choice->previous;
    if (*best == NO_INCIDENT ||
        time_between(incident, alert->occurred_us) < time_between(incident_at(correlation, *best), alert->occurred_us))
        *best = i;
}

/* The accepting incident of the key; if there is none, or it is later than the alert, the nearest one that used to
 * accept. */
static struct choice choose_by_key(struct correlation *correlation, const struct alert *alert)
{
    struct choice choice = {NO_INCIDENT, NO_INCIDENT};
    struct key_incidents *key = alert->terms ? index_key(&correlation->index, alert->key) : NULL;
    if (!key)
        return choice;
    size_t accepting = index_accepting(&correlation->index, key);
    if (accepting != NO_INCIDENT && accepts_alert(incident_at(correlation, accepting), alert))
        return (struct choice){accepting, NO_INCIDENT};
    if (accepting != NO_INCIDENT && alert->occurred_us >= incident_at(correlation, accepting)->last_seen_us)
        return choice;
    size_t n;
    const incident_link *around = index_near(&correlation->index, key, alert->occurred_us, &n);
    for (size_t i = 0; i < n; i++)
        consider_past_incident(correlation, alert, around[i] - 1, &choice);
    return choice;
}

/* The incident to which a restore without input, or a cancel, refers: the latest with an active condition of its device
 * and kind. */
static size_t latest_active(struct correlation *correlation, const struct alert *alert)
{
    size_t latest = NO_INCIDENT;
    for (size_t c = index_active(&correlation->index, alert->condition); c != NO_INCIDENT;
         c = index_next_active(&correlation->index, c)) {
        size_t i = condition_at(correlation, c)->incident;
        if (accepts_alert(incident_at(correlation, i), alert) &&
            (latest == NO_INCIDENT ||
             incident_at(correlation, i)->last_seen_us > incident_at(correlation, latest)->last_seen_us))
            latest = i;
    }
    return latest;
}

/* From some panels the number of a cancel is the input of the alarm, from others the number of the user. */
static size_t choose_by_cancel(struct correlation *correlation, const struct alert *alert, size_t condition, size_t own)
{
    if (own != NO_INCIDENT && condition_at(correlation, condition)->active)
        return own;
    size_t latest = latest_active(correlation, alert);
    return latest != NO_INCIDENT ? latest : own;
}

static size_t choose_by_condition(struct correlation *correlation, const struct alert *alert, size_t condition,
                                  size_t general)
{
    size_t own = NO_INCIDENT;
    if (condition != NO_INCIDENT &&
        accepts_alert(incident_at(correlation, condition_at(correlation, condition)->incident), alert))
        own = condition_at(correlation, condition)->incident;
    if (alert->flags & FLAG_CANCEL)
        return choose_by_cancel(correlation, alert, condition, own);
    if (own != NO_INCIDENT)
        return own;
    if (alert->phase != PHASE_RESTORE)
        return NO_INCIDENT;
    if (is_general(alert))
        return latest_active(correlation, alert);
    if (general != NO_INCIDENT && condition_at(correlation, general)->active &&
        accepts_alert(incident_at(correlation, condition_at(correlation, general)->incident), alert))
        return condition_at(correlation, general)->incident;
    return NO_INCIDENT;
}

static struct choice choose_incident(struct correlation *correlation, const struct alert *alert, size_t condition,
                                     size_t general)
{
    struct choice choice = {choose_by_condition(correlation, alert, condition, general), NO_INCIDENT};
    if (choice.incident == NO_INCIDENT)
        choice = choose_by_key(correlation, alert);
    if (choice.incident != NO_INCIDENT || condition == NO_INCIDENT)
        return choice;
    size_t last = condition_at(correlation, condition)->incident;
    const struct incident *closed = incident_at(correlation, last);
    if (closed->closed && closed->by_person)
        consider_past_incident(correlation, alert, last, &choice);
    return choice;
}

/* At most one incident of a key accepts alerts: the latest. A late alert begins an episode that is already over;
 * otherwise the incident that has accepted until now stops. Returns whether the new one accepts. */
static bool take_over_accepting(struct correlation *correlation, const struct alert *alert)
{
    struct key_incidents *key = index_key(&correlation->index, alert->key);
    size_t i = key ? index_accepting(&correlation->index, key) : NO_INCIDENT;
    if (i == NO_INCIDENT)
        return true;
    struct incident *accepting = incident_at(correlation, i);
    if (alert->occurred_us < accepting->last_seen_us)
        return false;
    accepting->accepting = false;
    accepting->changed = true;
    return true;
}

static size_t create_incident(struct correlation *correlation, const struct alert *alert, size_t previous)
{
    bool accepts = take_over_accepting(correlation, alert);
    size_t i = incident_set_add(correlation->set);
    struct incident *fresh = incident_at(correlation, i);
    memcpy(fresh->key, alert->key, sizeof(fresh->key));
    fresh->terms = *alert->terms;
    if (fresh->terms.team.len == 0)
        fresh->terms.team = alert->placement_team;
    fresh->priority = fresh->terms.priority;
    fresh->drill = alert->drill;
    fresh->accepting = accepts;
    fresh->kind = alert->kind;
    fresh->device = alert->device;
    fresh->first_seen_us = fresh->last_seen_us = alert->occurred_us;
    fresh->previous_id = previous == NO_INCIDENT ? 0 : incident_at(correlation, previous)->id;
    fresh->fresh = true;
    index_add_incident(&correlation->index, i);
    return i;
}

/* An incident is secret as soon as one of its alerts is. */
static void update_secrecy(struct incident *incident, const struct alert *alert)
{
    if (!alert->secret_placement)
        return;
    if (incident->secret_placement_id == 0) {
        incident->secret_placement_id = alert->placement_id;
        incident->secret_team = alert->placement_team;
    } else if (!str_eq(incident->secret_team, alert->placement_team)) {
        incident->secret_of_several = true;
    }
}

/* None of its conditions is active: a mute that lasts until it is restored does not apply to what is received from then
 * on. */
static void end_mute(struct incident *incident, int64_t from_us)
{
    if (incident->unmuted_us == ALERT_NO_TIME)
        incident->unmuted_us = from_us;
}

/* A restore that follows a raise in the same microsecond counts as later than the restore before that raise. */
static void become_inactive(struct incident *incident, const struct alert *restore)
{
    incident->restored_us = restore->occurred_us;
    incident->restore_received_us = restore->received_us;
    if (incident->inactive_us == ALERT_NO_TIME)
        incident->inactive_us = restore->received_us;
    else
        incident->restore_received_us = max_i64(restore->received_us, incident->inactive_us + 1);
    end_mute(incident, restore->received_us + 1);
}

static void end_condition(struct correlation *correlation, size_t c, const struct alert *restore)
{
    struct condition *condition = condition_at(correlation, c);
    struct incident *incident = incident_at(correlation, condition->incident);
    condition->active = false;
    condition->since_us = restore->occurred_us;
    condition->changed = true;
    incident->active--;
    incident->changed = true;
    if (incident->active == 0)
        become_inactive(incident, restore);
}

/* A service incident is closed as restored once none of its conditions is active. */
static void close_if_restored(struct incident *incident, const struct alert *restore)
{
    if (incident->active > 0 || incident->terms.category != CATEGORY_SERVICE || incident->closed)
        return;
    if (incident->restored_us == ALERT_NO_TIME)
        become_inactive(incident, restore);
    incident->restored = incident->closed = incident->changed = true;
    incident->by_person = incident->accepting = false;
    incident->closed_us = restore->received_us;
}

/* Ends a condition to which the restore refers, even if it comes too late to join the incident. */
static void restore_condition(struct correlation *correlation, size_t c, const struct alert *restore)
{
    struct incident *incident = incident_at(correlation, condition_at(correlation, c)->incident);
    if (restore->occurred_us < condition_at(correlation, c)->since_us)
        return;
    end_condition(correlation, c, restore);
    close_if_restored(incident, restore);
}

static void restore_all(struct correlation *correlation, const struct alert *restore)
{
    for (size_t c = index_active(&correlation->index, restore->condition); c != NO_INCIDENT;
         c = index_next_active(&correlation->index, c))
        if (restore->incident == NO_INCIDENT || restore->incident == condition_at(correlation, c)->incident)
            restore_condition(correlation, c, restore);
}

static void apply_restore(struct correlation *correlation, const struct alert *alert, size_t condition, size_t general)
{
    if (is_general(alert))
        restore_all(correlation, alert);
    if (condition != NO_INCIDENT && condition_at(correlation, condition)->active)
        restore_condition(correlation, condition, alert);
    if (general != NO_INCIDENT && condition_at(correlation, general)->active)
        restore_condition(correlation, general, alert);
    if (alert->incident != NO_INCIDENT)
        close_if_restored(incident_at(correlation, alert->incident), alert);
}

static size_t begin_condition(struct correlation *correlation, const struct alert *alert)
{
    size_t c = incident_set_add_condition(correlation->set);
    struct condition *condition = condition_at(correlation, c);
    memcpy(condition->id, alert->condition, sizeof(condition->id));
    condition->incident = alert->incident;
    condition->fresh = true;
    index_add_condition(&correlation->index, c);
    return c;
}

/* Records that the device of the alert was in an incident of another device: no condition shows it any longer. */
static void record_departure(struct correlation *correlation, size_t incident, const struct alert *alert,
                             int64_t since_us)
{
    if (!str_eq(incident_at(correlation, incident)->device, alert->device))
        incident_set_add_departure(correlation->set, (struct departure){incident, alert->device, since_us});
}

/* Moves the condition to the incident of its alert; it is not active there yet. */
static void move_condition(struct correlation *correlation, struct condition *condition, const struct alert *alert)
{
    struct incident *before = incident_at(correlation, condition->incident);
    record_departure(correlation, condition->incident, alert, condition->since_us);
    before->active -= condition->active;
    before->changed = before->changed || condition->active;
    if (condition->active && before->active == 0)
        end_mute(before, alert->received_us);
    condition->active = false;
    condition->since_us = ALERT_NO_TIME;
    condition->incident = alert->incident;
    condition->changed = true;
}

static void make_active(struct correlation *correlation, size_t c, const struct alert *alert, bool again)
{
    struct condition *condition = condition_at(correlation, c);
    struct incident *incident = incident_at(correlation, alert->incident);
    if (condition->active || alert->occurred_us < condition->since_us)
        return;
    incident->flaps += again && alert->phase == PHASE_RAISE;
    incident->active++;
    incident->restored_us = ALERT_NO_TIME;
    condition->active = condition->changed = true;
    condition->since_us = alert->occurred_us;
    index_activated(&correlation->index, c);
}

/* A late alert, of an incident before the one that the condition has gone on to. */
static bool is_of_older_episode(const struct correlation *correlation, const struct condition *condition,
                                const struct alert *alert)
{
    return !incident_at(correlation, alert->incident)->accepting &&
           (incident_at(correlation, condition->incident)->accepting || alert->occurred_us < condition->since_us);
}

/* Makes the condition of the alert active in its incident, and moves it there, unless the alert is of an older episode.
 * Returns whether the condition is new to the incident. That is not known of an older one: it has usually been there,
 * and is not to be new with each late alert. */
static bool activate_condition(struct correlation *correlation, const struct alert *alert, size_t c)
{
    bool is_new = c == NO_INCIDENT;
    if (is_new)
        c = begin_condition(correlation, alert);
    struct condition *condition = condition_at(correlation, c);
    if (condition->incident != alert->incident) {
        if (is_of_older_episode(correlation, condition, alert)) {
            record_departure(correlation, alert->incident, alert, alert->occurred_us);
            return false;
        }
        is_new = true;
        move_condition(correlation, condition, alert);
    }
    make_active(correlation, c, alert, !is_new);
    return is_new;
}

/* Neither drills nor service incidents verify or are verified. */
static void record_raise(struct incident *incident, const struct alert *alert, bool first)
{
    bool urgent = alert->kind == KIND_PANIC || alert->kind == KIND_HOLDUP;
    incident->urgent = incident->urgent || urgent;
    incident->began_urgent = incident->began_urgent || (urgent && first);
    incident->urgent_joined = incident->urgent_joined || (urgent && !first);
    if (alert->drill || incident->terms.category != CATEGORY_ALARM)
        return;
    incident->raised = true;
    if (alert->place.source != LOCATION_NONE)
        extent_take_in(&incident->extent, alert->place.lon, alert->place.lat);
    if (!(alert->flags & FLAG_VERIFIED) || incident->verified)
        return;
    incident->verified = true;
    if (incident->terms.verify_priority > 0 && incident->terms.verify_priority < incident->priority)
        incident->priority = incident->terms.verify_priority;
}

/* A raise or an update. The first alert of an incident counts, and then every raise, but only the first of a track. */
static void apply_raise(struct correlation *correlation, const struct alert *alert, size_t condition, bool first)
{
    struct incident *incident = incident_at(correlation, alert->incident);
    bool is_new = activate_condition(correlation, alert, condition);
    bool raise = alert->phase == PHASE_RAISE;
    incident->alert_count += first || (alert->camera.track.len > 0 ? is_new : raise);
    if (alert->terms && alert->terms->category == incident->terms.category)
        incident->priority = (int)min_i64(incident->priority, alert->terms->priority);
    if (raise)
        record_raise(incident, alert, first);
}

static void join_incident(struct correlation *correlation, const struct alert *alert, size_t condition, size_t general,
                          bool first)
{
    struct incident *incident = incident_at(correlation, alert->incident);
    incident->joined = incident->changed = true;
    if (incident->first_received_us == ALERT_NO_TIME || alert->received_us < incident->first_received_us)
        incident->first_received_us = alert->received_us;
    incident->last_received_us = max_i64(incident->last_received_us, alert->received_us);
    index_extend(&correlation->index, alert->incident, alert->occurred_us);
    incident_take_place(incident, alert);
    update_secrecy(incident, alert);
    if (alert->flags & FLAG_CANCEL)
        incident->cancelled_us = max_i64(incident->cancelled_us, alert->occurred_us);
    else if (alert->phase == PHASE_RESTORE)
        apply_restore(correlation, alert, condition, general);
    else
        apply_raise(correlation, alert, condition, first);
}

/* A restore, a cancel, and an image that follows its alert refer to an existing incident. */
static bool may_create(const struct alert *alert)
{
    bool late_image = alert->phase == PHASE_UPDATE && alert->image.kind != IMAGE_NONE;
    return alert->terms && alert->phase != PHASE_RESTORE && !(alert->flags & FLAG_CANCEL) && !late_image;
}

static void correlate_alert(struct correlation *correlation, struct alert *alert)
{
    size_t condition = index_condition(&correlation->index, alert->condition), general = NO_INCIDENT;
    if (alert->phase == PHASE_RESTORE && !is_general(alert)) {
        uint8_t id[INCIDENT_KEY_BYTES];
        incident_key_general_condition(alert, id);
        general = index_condition(&correlation->index, id);
    }
    struct choice choice = choose_incident(correlation, alert, condition, general);
    alert->incident = choice.incident;
    bool creates = alert->incident == NO_INCIDENT && may_create(alert);
    if (creates)
        alert->incident = create_incident(correlation, alert, choice.previous);
    if (alert->incident != NO_INCIDENT)
        join_incident(correlation, alert, condition, general, creates);
    else if (alert->phase == PHASE_RESTORE)
        apply_restore(correlation, alert, condition, general);
}

void correlate(struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    struct correlation correlation = {.set = set};
    index_open(&correlation.index, set, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        batch->rows[i].alert.incident = NO_INCIDENT;
        if (store[i])
            correlate_alert(&correlation, &batch->rows[i].alert);
    }
    index_close(&correlation.index);
}
