#include "ctl/rules/scenario_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/load.h"
#include "ctl/lib/ctl.h"
#include "ingest/validate.h"

#define ALL_DAEMONS (-1)

struct played_alert {
    const char *name; /* NULL: none */
    struct alert alert;
    uint64_t incident; /* 0: none, or not stored yet */
};

/* A scenario while it is played. */
struct play {
    const struct scenario *scenario;
    const char *file;
    const struct scenario_options *options;
    void *backend; /* NULL: it did not begin, or was aborted */
    struct fixture fixture;
    struct conf **confs; /* all that were loaded; alerts refer to their rules */
    size_t n_confs;
    struct enrich *enrich;
    struct batch **batches; /* all of them; alerts refer to their memory */
    size_t n_batches;
    size_t *waiting[DAEMONS]; /* alerts that a daemon has received but not stored */
    size_t n_waiting[DAEMONS];
    bool outage[DAEMONS];
    struct played_alert *alerts;
    size_t n_alerts;
    struct numbering numbering;
    int64_t now_us;
    struct written_time date;
    struct buf failures;
    size_t expectations;
};

static void fail(struct play *play, const struct step *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct play *play, const struct step *step, const char *fmt, ...)
{
    char text[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    buf_printf(&play->failures, "%s:%u: %s\n", play->file, step->line, text);
}

/* Ends the scenario, since its results are no longer meaningful. */
static void abort_play(struct play *play, const struct step *step, const struct err *err)
{
    fail(play, step, "%s", err->text);
    if (play->backend)
        play->options->ops->end(play->backend);
    play->backend = NULL;
}

/* Path of a file, relative to the directory of the scenario. */
static char *beside(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    struct buf path = {0};
    if (slash && name[0] != '/')
        buf_printf(&path, "%.*s/", (int)(slash - file), file);
    buf_printf(&path, "%s", name);
    return path.data;
}

static int load_rules(struct play *play, const char *path, struct err *err)
{
    struct buf report = {0};
    struct conf *conf = conf_load(path, &report);
    if (!conf)
        err_set(err, "%.*s", (int)strcspn(report.data, "\n"), report.data);
    buf_free(&report);
    if (!conf)
        return -1;
    play->confs = mem_realloc(play->confs, play->n_confs + 1, sizeof(struct conf *));
    play->confs[play->n_confs++] = conf;
    play->fixture.conf = conf;
    ctl_use_zone(conf->timezone);
    return 0;
}

static int load_named_rules(struct play *play, const char *name, struct err *err)
{
    char *path = beside(play->file, name);
    int rc = load_rules(play, path, err);
    free(path);
    return rc;
}

/* Numbers the incidents: first those of alerts, in the order of the alerts, then those without alerts. */
static int number_incidents(struct play *play, struct err *err)
{
    uint64_t *ids;
    size_t n;
    if (play->options->ops->list_incidents(play->backend, &ids, &n, err) < 0)
        return -1;
    struct numbering *numbering = &play->numbering;
    numbering->ids = mem_realloc(numbering->ids, n + 1, sizeof(uint64_t));
    for (size_t i = 0; i < play->n_alerts; i++)
        if (play->alerts[i].incident && !incident_number(numbering, play->alerts[i].incident))
            numbering->ids[numbering->n++] = play->alerts[i].incident;
    for (size_t i = 0; i < n; i++)
        if (!incident_number(numbering, ids[i]))
            numbering->ids[numbering->n++] = ids[i];
    free(ids);
    return 0;
}

/* A daemon stores all its waiting alerts as one batch. */
static int store_pending(struct play *play, int daemon, struct err *err)
{
    size_t n = play->n_waiting[daemon];
    const struct enrich_context context = {
        .conf = play->fixture.conf, .registry = play->fixture.registry, .areas = play->fixture.areas};
    if (n == 0)
        return 0;
    struct batch *batch = batch_new(n);
    uint64_t *ids = mem_zalloc(n * sizeof(*ids));
    play->batches = mem_realloc(play->batches, play->n_batches + 1, sizeof(struct batch *));
    play->batches[play->n_batches++] = batch;
    enrich_begin(play->enrich, &context, batch);
    for (size_t i = 0; i < n; i++) {
        batch->rows[i] = (struct batch_row){.alert = play->alerts[play->waiting[daemon][i]].alert};
        enrich_alert(play->enrich, &batch->rows[i].alert);
    }
    batch->n = n;
    int rc = play->options->ops->store_batch(play->backend, batch, daemon, play->now_us, ids, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct played_alert *played = &play->alerts[play->waiting[daemon][i]];
        played->alert = batch->rows[i].alert;
        played->incident = ids[i];
    }
    free(ids);
    play->n_waiting[daemon] = 0;
    return rc < 0 ? rc : number_incidents(play, err);
}

/* Advances the time and runs maintenance, unless a daemon is cut off from the database. */
static int advance(struct play *play, int64_t now_us, struct err *err)
{
    if (now_us > play->now_us)
        play->now_us = now_us;
    if (play->outage[0] || play->outage[1])
        return 0;
    if (play->options->ops->maintain(play->backend, play->now_us, err) < 0)
        return -1;
    return number_incidents(play, err);
}

static int step_time(struct play *play, const struct step *step, int64_t *ret_us, struct err *err)
{
    return written_time_us(&step->at, &play->date, ret_us, err);
}

/* A device id such as "dc09:1234/1" is that of unregistered DC-09 equipment. */
static void fill_sender(struct alert *alert)
{
    struct str device = alert->device;
    alert->source = STR("/scenario");
    alert->format = ALERT_CLOUDEVENTS;
    if (device.len <= 5 || memcmp(device.p, "dc09:", 5) != 0)
        return;
    const char *slash = memchr(device.p, '/', device.len);
    alert->format = ALERT_SIA_DC09;
    alert->source = (struct str){device.p, slash ? (size_t)(slash - device.p) : device.len};
    if (slash && alert->input == ALERT_NO_INT)
        alert->input = atoi(slash + 1);
}

static struct alert make_alert(const struct scenario_alert *from)
{
    struct alert alert = {.device = str_from(from->device),
                          .kind = alert_kind_from(str_from(from->kind)),
                          .kind_word = str_from(from->kind),
                          .phase = (enum alert_phase)from->phase,
                          .input = from->input,
                          .drill = from->drill,
                          .flags = (from->verified ? FLAG_VERIFIED : 0) | (from->cancelled ? FLAG_CANCEL : 0) |
                                   (from->place.impossible ? FLAG_BAD_LOCATION : 0),
                          .has_location = from->place.given && !from->place.impossible,
                          .lon = from->place.lon,
                          .lat = from->place.lat,
                          .accuracy_m = (float)from->accuracy_m,
                          .fix_us = ALERT_NO_TIME,
                          .battery_pct = ALERT_NO_INT,
                          .signal_dbm = ALERT_NO_INT,
                          .camera.score = (float)from->score,
                          .camera.label = str_from(from->label),
                          .camera.track = str_from(from->track),
                          .camera.zone = str_from(from->zone),
                          .payload = STR("{}"),
                          .endpoint = str_from(from->endpoint ? from->endpoint : "cameras"),
                          .incident = NO_INCIDENT};
    if (from->image)
        alert.image = (struct image){STR("not decoded"), IMAGE_JPEG, 0, 0};
    fill_sender(&alert);
    return alert;
}

static int daemon_number(const char *word)
{
    return word ? strcmp(word, "b") == 0 : ALL_DAEMONS;
}

static int play_alert(struct play *play, const struct step *step, struct err *err)
{
    const struct scenario_alert *from = &step->alert;
    struct alert alert = make_alert(from);
    int64_t occurred_us, received_us;
    if (step_time(play, step, &occurred_us, err) < 0)
        return -1;
    received_us = occurred_us > play->now_us ? occurred_us : play->now_us;
    struct written_time date = play->date;
    if (from->received.given && written_time_us(&from->received, &date, &received_us, err) < 0)
        return -1;
    alert.occurred_us = occurred_us;
    validate_time(&alert, received_us, play->fixture.conf->retention.class_us);
    if (advance(play, received_us, err) < 0)
        return -1;
    int daemon = from->daemon ? daemon_number(from->daemon) : 0;
    play->alerts = mem_realloc(play->alerts, play->n_alerts + 1, sizeof(*play->alerts));
    play->alerts[play->n_alerts] = (struct played_alert){.name = from->name, .alert = alert};
    play->waiting[daemon] = mem_realloc(play->waiting[daemon], play->n_waiting[daemon] + 1, sizeof(size_t));
    play->waiting[daemon][play->n_waiting[daemon]++] = play->n_alerts++;
    return play->outage[daemon] ? 0 : store_pending(play, daemon, err);
}

static int play_person(struct play *play, const struct step *step, struct err *err)
{
    const struct scenario_person *person = &step->person;
    if (person->incident > play->numbering.n)
        return err_set(err, "incident %zu does not exist (%zu were created)", person->incident, play->numbering.n);
    return play->options->ops->act(play->backend, person, play->numbering.ids[person->incident - 1], play->now_us, err);
}

static int play_outage(struct play *play, const struct step *step, struct err *err)
{
    int which = daemon_number(step->word);
    for (int d = 0; d < DAEMONS; d++) {
        if (which != ALL_DAEMONS && which != d)
            continue;
        play->outage[d] = step->kind == STEP_OUTAGE;
        if (!play->outage[d] && store_pending(play, d, err) < 0)
            return -1;
    }
    return advance(play, play->now_us, err);
}

static void expect_count(struct play *play, const struct step *step)
{
    play->expectations++;
    if (play->numbering.n != step->count)
        fail(play, step, "found %zu incident%s (expected %zu)", play->numbering.n, ctl_plural(play->numbering.n),
             step->count);
}

static void check_fact(struct play *play, const struct step *step, bool known, const struct scenario_fact *fact,
                       const struct buf *is)
{
    play->expectations++;
    const char *of = step->facts.incident ? "incident" : "alert";
    if (!known)
        fail(play, step, "%s %s: unknown fact \"%s\" (expected %.*s)", of, step->facts.alert, fact->name, (int)is->len,
             is->data);
    else if (!str_is(buf_str(is), fact->value))
        fail(play, step, "%s %s: %s is %.*s (expected %s)", of, step->facts.alert, fact->name, (int)is->len, is->data,
             fact->value);
}

static const struct played_alert *find_alert(const struct play *play, const char *word)
{
    char *end;
    size_t number = strtoul(word, &end, 10);
    if (*end == '\0' && number >= 1 && number <= play->n_alerts)
        return &play->alerts[number - 1];
    for (size_t i = 0; i < play->n_alerts; i++)
        if (play->alerts[i].name && strcmp(play->alerts[i].name, word) == 0)
            return &play->alerts[i];
    return NULL;
}

static int expect_facts(struct play *play, const struct step *step, struct err *err)
{
    const struct scenario_facts *facts = &step->facts;
    const struct played_alert *played = facts->incident ? NULL : find_alert(play, facts->alert);
    struct incident_view view;
    if (facts->incident ? facts->incident > play->numbering.n : !played) {
        play->expectations++;
        fail(play, step, "%s %s does not exist", facts->incident ? "incident" : "alert", facts->alert);
        return 0;
    }
    if (facts->incident &&
        play->options->ops->view_incident(play->backend, play->numbering.ids[facts->incident - 1], &view, err) < 0)
        return -1;
    for (size_t i = 0; i < facts->n; i++) {
        const struct scenario_fact *fact = &play->scenario->facts[facts->first + i];
        struct buf is = {0};
        bool known = played
                         ? alert_fact(&played->alert, played->incident, &play->numbering, fact->name, fact->value, &is)
                         : incident_fact(&view, &play->numbering, fact->name, fact->value, &is);
        check_fact(play, step, known, fact, &is);
        buf_free(&is);
    }
    return 0;
}

static int play_step(struct play *play, const struct step *step, struct err *err)
{
    int64_t at_us = play->now_us;
    if (step->kind == STEP_ALERT)
        return play_alert(play, step, err);
    if (step->at.given &&
        (step_time(play, step, &at_us, err) < 0 || (step->kind != STEP_OUTAGE_OVER && advance(play, at_us, err) < 0)))
        return -1;
    if (step->kind == STEP_OUTAGE_OVER && at_us > play->now_us)
        play->now_us = at_us;
    switch (step->kind) {
    case STEP_PERSON:
        return play_person(play, step, err) < 0 ? -1 : number_incidents(play, err);
    case STEP_OUTAGE:
    case STEP_OUTAGE_OVER:
        return play_outage(play, step, err);
    case STEP_RULES:
        return step->at.given ? load_named_rules(play, step->word, err) : 0;
    case STEP_EXPECT_COUNT:
        expect_count(play, step);
        return 0;
    case STEP_EXPECT_FACTS:
        return expect_facts(play, step, err);
    default:
        return 0;
    }
}

/* Loads the initial rules: those of the scenario, otherwise those of the whole file, otherwise those of the option. */
static int first_rules(struct play *play, size_t first, size_t end, struct err *err)
{
    const struct step *steps = play->scenario->steps;
    const char *name = NULL;
    for (size_t i = 0; i < play->scenario->n && steps[i].kind != STEP_SCENARIO; i++)
        if (steps[i].kind == STEP_RULES && !steps[i].at.given)
            name = steps[i].word;
    for (size_t i = first; i < end; i++)
        if (steps[i].kind == STEP_RULES && !steps[i].at.given)
            name = steps[i].word;
    if (name)
        return load_named_rules(play, name, err);
    if (!play->options->rules_file)
        return err_set(err, "no rules (expected rules FILE, or the option -c FILE)");
    return load_rules(play, play->options->rules_file, err);
}

/* Finds the first event, from which silence is counted. */
static int find_begin(struct play *play, size_t first, size_t end, const struct step **ret_step, struct err *err)
{
    struct written_time date = {0};
    for (size_t i = first; i < end; i++)
        if (play->scenario->steps[i].at.given) {
            *ret_step = &play->scenario->steps[i];
            if (written_time_us(&play->scenario->steps[i].at, &date, &play->fixture.begin_us, err) < 0)
                return -1;
            play->now_us = play->fixture.begin_us;
            return 0;
        }
    return 0;
}

/* -1 with err set about *ret_step. */
static int begin_play(struct play *play, size_t first, size_t end, const struct step **ret_step, struct err *err)
{
    const struct conf *conf;
    if (first_rules(play, first, end, err) < 0)
        return -1;
    conf = play->fixture.conf;
    int rc = fixture_read(&play->fixture, play->scenario, first, end, ret_step, err);
    play->fixture.conf = conf;
    if (rc < 0 || find_begin(play, first, end, ret_step, err) < 0)
        return -1;
    play->enrich = enrich_new();
    return play->options->ops->begin(&play->backend, play->options->server, &play->fixture, err);
}

static void finish(struct play *play)
{
    if (play->backend)
        play->options->ops->end(play->backend);
    for (size_t i = 0; i < play->n_batches; i++)
        batch_free(&play->batches[i]);
    for (size_t i = 0; i < play->n_confs; i++)
        conf_free(&play->confs[i]);
    for (int d = 0; d < DAEMONS; d++)
        free(play->waiting[d]);
    fixture_free(&play->fixture);
    enrich_free(&play->enrich);
    free(play->batches);
    free(play->confs);
    free(play->alerts);
    free(play->numbering.ids);
    buf_free(&play->failures);
}

static void play_scenario(const struct scenario *scenario, const char *file, size_t first, size_t end,
                          const struct scenario_options *options)
{
    struct play play = {.scenario = scenario, .file = file, .options = options};
    const struct step *head = &scenario->steps[first], *at = head;
    struct err err;
    if (begin_play(&play, first, end, &at, &err) < 0)
        abort_play(&play, at, &err);
    for (size_t i = first; i < end && play.backend; i++)
        if (play_step(&play, &scenario->steps[i], &err) < 0)
            abort_play(&play, &scenario->steps[i], &err);
    struct scenario_result result = {.file = file,
                                     .title = head->kind == STEP_SCENARIO ? head->word : file,
                                     .line = head->line,
                                     .expectations = play.expectations,
                                     .failures = buf_str(&play.failures)};
    options->on_result(options->ctx, &result);
    finish(&play);
}

void scenario_run(const struct scenario *scenario, const char *file, const struct scenario_options *options)
{
    size_t first = 0;
    while (first < scenario->n && scenario->steps[first].kind != STEP_SCENARIO)
        first++;
    if (first == scenario->n && scenario->n > 0)
        play_scenario(scenario, file, 0, scenario->n, options);
    while (first < scenario->n) {
        size_t end = first + 1;
        while (end < scenario->n && scenario->steps[end].kind != STEP_SCENARIO)
            end++;
        play_scenario(scenario, file, first, end, options);
        first = end;
    }
}
