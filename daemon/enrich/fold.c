#include "enrich/fold.h"

#include <math.h>
#include <string.h>

#include "alert/distance.h"
#include "enrich/fold_index.h"
#include "enrich/group.h"

struct folding {
    struct book *book;
    struct fold_index index;
};

/* What an alert joins, or, where that is nothing and a new one is made, what a person had closed before. */
struct choice {
    size_t incident; /* NO_INCIDENT: none */
    size_t previous; /* the same */
};

static struct incident *incident_at(const struct folding *f, size_t i)
{
    return &f->book->incidents[i];
}

static struct thread *thread_at(const struct folding *f, size_t i)
{
    return &f->book->threads[i];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* No silence between them longer than the gap, and the whole no older than max_age; both ways, since alerts come late.
 */
static bool in_time(const struct incident *incident, int64_t occurred_us)
{
    const struct incident_terms *terms = &incident->terms;
    if (occurred_us < incident->first_seen_us - terms->gap_us || occurred_us > incident->last_seen_us + terms->gap_us)
        return false;
    return terms->max_age_us == 0 || (occurred_us - incident->first_seen_us <= terms->max_age_us &&
                                      incident->last_seen_us - occurred_us <= terms->max_age_us);
}

/* Only the device that it began with can move away from an incident. */
static bool moved_away(const struct incident *incident, const struct alert *alert)
{
    double limit_m = incident->terms.moved_over_m;
    return limit_m > 0 && incident->location_source != LOCATION_NONE && alert->location_source != LOCATION_NONE &&
           str_eq(incident->device, alert->device) &&
           distance_m(incident->lon, incident->lat, alert->place_lon, alert->place_lat) > limit_m;
}

static bool belongs(const struct incident *incident, const struct alert *alert)
{
    return in_time(incident, alert->occurred_us) && !moved_away(incident, alert);
}

/* A raise whose rule says alarm is for a patrol: it is not hidden among service. */
static bool accepts(const struct incident *incident, const struct alert *alert)
{
    bool hidden = alert->phase == PHASE_RAISE && alert->terms && alert->terms->category == CATEGORY_ALARM &&
                  incident->terms.category == CATEGORY_SERVICE;
    return incident->accepting && !hidden && belongs(incident, alert);
}

/* Does it still count on the incident that a person has closed? Panic and holdup are always news. */
static bool counts_on_closed(const struct incident *incident, const struct alert *alert)
{
    bool news = alert->phase != PHASE_RESTORE && (alert->kind == KIND_PANIC || alert->kind == KIND_HOLDUP);
    return !news && alert->received_us <= incident->closed_us + incident->terms.settle_us;
}

static int64_t time_between(const struct incident *incident, int64_t occurred_us)
{
    return most(0, most(incident->first_seen_us - occurred_us, occurred_us - incident->last_seen_us));
}

/* A general alert is one of a device and kind, of no input and no track. */
static bool is_general(const struct alert *alert)
{
    return alert->input == ALERT_NO_INT && alert->track.len == 0;
}

/* Of an incident that no longer accepts, and that the system has not closed: the better choice, if it is one. */
static void consider(const struct folding *f, const struct alert *alert, size_t i, struct choice *choice)
{
    const struct incident *incident = incident_at(f, i);
    if (incident->accepting || !belongs(incident, alert))
        return;
    bool joins = !incident->closed || counts_on_closed(incident, alert);
    size_t *best = joins ? &choice->incident : &choice->previous;
    if (*best == NO_INCIDENT ||
        time_between(incident, alert->occurred_us) < time_between(incident_at(f, *best), alert->occurred_us))
        *best = i;
}

/* The one of the key that accepts; else, for an alert that is not later than all of that, or where none accepts, the
 * nearest that once did. */
static struct choice choose_by_key(struct folding *f, const struct alert *alert)
{
    struct choice choice = {NO_INCIDENT, NO_INCIDENT};
    struct key_incidents *key = alert->terms ? index_key(&f->index, alert->key) : NULL;
    if (!key)
        return choice;
    size_t accepting = index_accepting(&f->index, key);
    if (accepting != NO_INCIDENT && accepts(incident_at(f, accepting), alert))
        return (struct choice){accepting, NO_INCIDENT};
    if (accepting != NO_INCIDENT && alert->occurred_us >= incident_at(f, accepting)->last_seen_us)
        return choice;
    size_t n;
    const book_link *around = index_around(&f->index, key, alert->occurred_us, &n);
    for (size_t i = 0; i < n; i++)
        consider(f, alert, around[i] - 1, &choice);
    return choice;
}

/* What a restore without input, or a cancel, speaks of: the latest incident that has something of its device and kind
 * active. */
static size_t latest_active(struct folding *f, const struct alert *alert)
{
    size_t latest = NO_INCIDENT;
    for (size_t t = index_active(&f->index, alert->thread); t != NO_INCIDENT; t = index_next_active(&f->index, t)) {
        size_t i = thread_at(f, t)->incident;
        if (accepts(incident_at(f, i), alert) &&
            (latest == NO_INCIDENT || incident_at(f, i)->last_seen_us > incident_at(f, latest)->last_seen_us))
            latest = i;
    }
    return latest;
}

/* The number behind a cancel is the input of the alarm from some panels, that of the user from others. */
static size_t choose_cancelled(struct folding *f, const struct alert *alert, size_t thread, size_t own)
{
    if (own != NO_INCIDENT && thread_at(f, thread)->active)
        return own;
    size_t latest = latest_active(f, alert);
    return latest != NO_INCIDENT ? latest : own;
}

static size_t choose_by_thread(struct folding *f, const struct alert *alert, size_t thread, size_t general)
{
    size_t own = NO_INCIDENT;
    if (thread != NO_INCIDENT && accepts(incident_at(f, thread_at(f, thread)->incident), alert))
        own = thread_at(f, thread)->incident;
    if (alert->flags & FLAG_CANCEL)
        return choose_cancelled(f, alert, thread, own);
    if (own != NO_INCIDENT)
        return own;
    if (alert->phase != PHASE_RESTORE)
        return NO_INCIDENT;
    if (is_general(alert))
        return latest_active(f, alert);
    if (general != NO_INCIDENT && thread_at(f, general)->active &&
        accepts(incident_at(f, thread_at(f, general)->incident), alert))
        return thread_at(f, general)->incident;
    return NO_INCIDENT;
}

static struct choice choose(struct folding *f, const struct alert *alert, size_t thread, size_t general)
{
    struct choice choice = {choose_by_thread(f, alert, thread, general), NO_INCIDENT};
    if (choice.incident == NO_INCIDENT)
        choice = choose_by_key(f, alert);
    if (choice.incident != NO_INCIDENT || thread == NO_INCIDENT)
        return choice;
    size_t last = thread_at(f, thread)->incident;
    const struct incident *closed = incident_at(f, last);
    if (closed->closed && closed->by_person)
        consider(f, alert, last, &choice);
    return choice;
}

/* An alert that is late may begin an episode that is over already: a later one of its key accepts. */
static bool is_over(struct folding *f, const struct alert *alert)
{
    struct key_incidents *key = index_key(&f->index, alert->key);
    size_t i = key ? index_accepting(&f->index, key) : NO_INCIDENT;
    if (i == NO_INCIDENT)
        return false;
    struct incident *accepting = incident_at(f, i);
    if (alert->occurred_us < accepting->last_seen_us)
        return true;
    accepting->accepting = false;
    accepting->changed = true;
    return false;
}

static size_t make(struct folding *f, const struct alert *alert, size_t previous)
{
    bool over = is_over(f, alert);
    size_t i = book_add_incident(f->book);
    struct incident *made = incident_at(f, i);
    memcpy(made->key, alert->key, sizeof(made->key));
    made->terms = *alert->terms;
    if (made->terms.team.len == 0)
        made->terms.team = alert->placement_team;
    made->priority = made->terms.priority;
    made->drill = alert->drill;
    made->accepting = !over;
    made->kind = alert->kind;
    made->device = alert->device;
    made->first_seen_us = made->last_seen_us = alert->occurred_us;
    made->last_received_us = alert->received_us;
    made->previous_id = previous == NO_INCIDENT ? 0 : incident_at(f, previous)->id;
    made->fresh = true;
    index_add_incident(&f->index, i);
    return i;
}

/* A fix is better than a placement, that than the last known place; then the more accurate; else the first stays. */
static bool better_place(const struct alert *alert, const struct incident *incident)
{
    static const int rank[] = {[LOCATION_LAST_KNOWN] = 1, [LOCATION_PLACEMENT] = 2, [LOCATION_MESSAGE] = 3};
    int theirs = rank[alert->location_source], ours = rank[incident->location_source];
    if (theirs != ours)
        return theirs > ours;
    return theirs > 0 && (alert->place_accuracy_m < incident->accuracy_m ||
                          (isnan(incident->accuracy_m) && !isnan(alert->place_accuracy_m)));
}

static void note_place(struct incident *incident, const struct alert *alert)
{
    if (!better_place(alert, incident))
        return;
    incident->location_source = alert->location_source;
    incident->lon = alert->place_lon;
    incident->lat = alert->place_lat;
    incident->accuracy_m = alert->place_accuracy_m;
    incident->placement_id = alert->placement_id;
    incident->areas = alert->areas;
}

/* An incident is secret once an alert of it is. */
static void note_secret(struct incident *incident, const struct alert *alert)
{
    if (!alert->secret)
        return;
    if (incident->secret_placement_id == 0) {
        incident->secret_placement_id = alert->placement_id;
        incident->secret_team = alert->placement_team;
    } else if (!str_eq(incident->secret_team, alert->placement_team)) {
        incident->secret_of_several = true;
    }
}

static void end_thread(struct folding *f, size_t t, const struct alert *restore)
{
    struct thread *thread = thread_at(f, t);
    struct incident *incident = incident_at(f, thread->incident);
    thread->active = false;
    thread->since_us = restore->occurred_us;
    thread->changed = true;
    incident->active--;
    incident->changed = true;
    if (incident->active == 0)
        incident->restored_us = restore->occurred_us;
}

/* Once nothing of it is active any more, a service incident has nothing left to be done about. */
static void close_if_restored(struct incident *incident, const struct alert *restore)
{
    if (incident->active > 0 || incident->terms.category != CATEGORY_SERVICE || incident->closed)
        return;
    if (incident->restored_us == ALERT_NO_TIME)
        incident->restored_us = restore->occurred_us;
    incident->restored = incident->closed = incident->changed = true;
    incident->by_person = incident->accepting = false;
    incident->closed_us = restore->received_us;
}

/* Ends a thread that the restore speaks of, also in an incident that it came too late to join. */
static void restore_thread(struct folding *f, size_t t, const struct alert *restore)
{
    struct incident *incident = incident_at(f, thread_at(f, t)->incident);
    if (restore->occurred_us < thread_at(f, t)->since_us)
        return;
    end_thread(f, t, restore);
    close_if_restored(incident, restore);
}

static void restore_all(struct folding *f, const struct alert *restore)
{
    for (size_t t = index_active(&f->index, restore->thread); t != NO_INCIDENT; t = index_next_active(&f->index, t))
        if (restore->incident == NO_INCIDENT || restore->incident == thread_at(f, t)->incident)
            restore_thread(f, t, restore);
}

static void restore(struct folding *f, const struct alert *alert, size_t thread, size_t general)
{
    if (is_general(alert))
        restore_all(f, alert);
    if (thread != NO_INCIDENT && thread_at(f, thread)->active)
        restore_thread(f, thread, alert);
    if (general != NO_INCIDENT && thread_at(f, general)->active)
        restore_thread(f, general, alert);
    if (alert->incident != NO_INCIDENT)
        close_if_restored(incident_at(f, alert->incident), alert);
}

static size_t begin_thread(struct folding *f, const struct alert *alert)
{
    size_t t = book_add_thread(f->book);
    struct thread *thread = thread_at(f, t);
    memcpy(thread->id, alert->thread, sizeof(thread->id));
    thread->incident = alert->incident;
    thread->fresh = true;
    index_add_thread(&f->index, t);
    return t;
}

/* The thread leads to another incident from now on, and is nothing of the one before. */
static void lead(struct folding *f, struct thread *thread, size_t i)
{
    struct incident *before = incident_at(f, thread->incident);
    before->active -= thread->active;
    before->changed = before->changed || thread->active;
    thread->active = false;
    thread->since_us = ALERT_NO_TIME;
    thread->incident = i;
    thread->changed = true;
}

static void activate(struct folding *f, size_t t, const struct alert *alert, bool again)
{
    struct thread *thread = thread_at(f, t);
    struct incident *incident = incident_at(f, alert->incident);
    if (thread->active || alert->occurred_us < thread->since_us)
        return;
    incident->flaps += again && alert->phase == PHASE_RAISE;
    incident->active++;
    incident->restored_us = ALERT_NO_TIME;
    thread->active = thread->changed = true;
    thread->since_us = alert->occurred_us;
    index_activated(&f->index, t);
}

/* Its thread leads to the incident from now on, and is active there; but a late alert of an older episode does not lead
 * away from an incident that accepts. Returns whether the incident had nothing of the thread yet. */
static bool follow(struct folding *f, const struct alert *alert, size_t t)
{
    bool is_new = t == NO_INCIDENT;
    if (is_new)
        t = begin_thread(f, alert);
    struct thread *thread = thread_at(f, t);
    if (thread->incident != alert->incident) {
        is_new = true;
        if (incident_at(f, thread->incident)->accepting && !incident_at(f, alert->incident)->accepting)
            return true;
        lead(f, thread, alert->incident);
    }
    activate(f, t, alert, !is_new);
    return is_new;
}

/* Drills verify nothing and are verified by nothing. */
static void note_raise(struct incident *incident, const struct alert *alert, bool made)
{
    bool urgent = alert->kind == KIND_PANIC || alert->kind == KIND_HOLDUP;
    incident->urgent = incident->urgent || urgent;
    incident->began_urgent = incident->began_urgent || (urgent && made);
    incident->urgent_joined = incident->urgent_joined || (urgent && !made);
    if (alert->drill)
        return;
    incident->raised = true;
    if (!(alert->flags & FLAG_VERIFIED) || incident->terms.category != CATEGORY_ALARM || incident->verified)
        return;
    incident->verified = true;
    if (incident->terms.verify_priority > 0 && incident->terms.verify_priority < incident->priority)
        incident->priority = incident->terms.verify_priority;
}

/* A raise or an update. Raises count; of a track only its first alert does. What an incident is made of counts. */
static void occur(struct folding *f, const struct alert *alert, size_t thread, bool made)
{
    struct incident *incident = incident_at(f, alert->incident);
    bool is_new = follow(f, alert, thread);
    bool raise = alert->phase == PHASE_RAISE;
    incident->alert_count += made || (alert->track.len > 0 ? is_new : raise);
    if (alert->terms && alert->terms->category == incident->terms.category)
        incident->priority = (int)least(incident->priority, alert->terms->priority);
    if (raise)
        note_raise(incident, alert, made);
}

static void join(struct folding *f, const struct alert *alert, size_t thread, size_t general, bool made)
{
    struct incident *incident = incident_at(f, alert->incident);
    incident->joined = incident->changed = true;
    incident->last_received_us = most(incident->last_received_us, alert->received_us);
    index_extend(&f->index, alert->incident, alert->occurred_us);
    note_place(incident, alert);
    note_secret(incident, alert);
    if (alert->flags & FLAG_CANCEL)
        incident->cancelled_us = most(incident->cancelled_us, alert->occurred_us);
    else if (alert->phase == PHASE_RESTORE)
        restore(f, alert, thread, general);
    else
        occur(f, alert, thread, made);
}

static void fold_alert(struct folding *f, struct alert *alert)
{
    size_t thread = index_thread(&f->index, alert->thread), general = NO_INCIDENT;
    if (alert->phase == PHASE_RESTORE && !is_general(alert)) {
        uint8_t id[INCIDENT_KEY_BYTES];
        group_general_thread(alert, id);
        general = index_thread(&f->index, id);
    }
    struct choice choice = choose(f, alert, thread, general);
    alert->incident = choice.incident;
    bool makes = alert->incident == NO_INCIDENT && alert->terms && alert->phase != PHASE_RESTORE &&
                 !(alert->flags & FLAG_CANCEL);
    if (makes)
        alert->incident = make(f, alert, choice.previous);
    if (alert->incident != NO_INCIDENT)
        join(f, alert, thread, general, makes);
    else if (alert->phase == PHASE_RESTORE)
        restore(f, alert, thread, general);
}

void fold(struct book *book, struct batch *batch, const uint8_t *store)
{
    struct folding f = {.book = book};
    index_open(&f.index, book, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        batch->rows[i].alert.incident = NO_INCIDENT;
        if (store[i])
            fold_alert(&f, &batch->rows[i].alert);
    }
    index_close(&f.index);
}
