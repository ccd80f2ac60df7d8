/* Why a rule does not match, in words. */
#include "base/array.h"
#include "enrich/rule_keys.h"

/* "a, b or c" */
static void put_item(struct buf *out, size_t i, size_t n, const char *item)
{
    buf_printf(out, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", item);
}

static void put_words(struct buf *out, char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_item(out, i, n, words[i]);
}

static void put_bits(struct buf *out, uint32_t bits, const char *(*word)(unsigned))
{
    size_t n = (size_t)__builtin_popcount(bits);
    for (size_t i = 0; bits; bits &= bits - 1)
        put_item(out, i++, n, word((unsigned)__builtin_ctz(bits)));
}

static const char *kind_word(unsigned kind)
{
    return alert_kind_word((enum alert_kind)kind);
}

static const char *phase_word(unsigned phase)
{
    return alert_phase_word((enum alert_phase)phase);
}

static const char *day_word(unsigned day)
{
    static const char *const words[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    return words[day];
}

static void why_kind(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    const struct alert *alert = subject->alert;
    buf_printf(out, "kind is %s", alert_kind_word(alert->kind));
    if (alert->kind == KIND_UNKNOWN)
        buf_printf(out, " (\"%.*s\")", (int)alert->kind_word.len, alert->kind_word.p);
    buf_printf(out, ", the rule wants ");
    put_bits(out, match->kinds, kind_word);
}

static void why_phase(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    buf_printf(out, "phase is %s, the rule wants ", alert_phase_word(subject->alert->phase));
    put_bits(out, match->phases, phase_word);
}

static void why_registered(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    (void)subject;
    buf_printf(out, match->registered ? "the device is not registered, the rule wants one that is"
                                      : "the device is registered, the rule wants one that is not");
}

static void why_located(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    if (match->located)
        buf_printf(out, "no place is known, the rule wants one");
    else
        buf_printf(out, "a place is known (%s), the rule wants none",
                   alert_location_word(subject->alert->place.source));
}

static void why_drill(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    (void)subject;
    buf_printf(out, match->drill ? "it is not a drill, the rule wants one" : "it is a drill, the rule wants none");
}

static void why_image(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    (void)subject;
    buf_printf(out, match->image ? "it has no image, the rule wants one" : "it has an image, the rule wants none");
}

static void why_score(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    float score = subject->alert->camera.score;
    if (isnan(score))
        buf_printf(out, "it has no score, the rule wants");
    else
        buf_printf(out, "score is %.6g, the rule wants", (double)score);
    if (!isnan(match->score_min))
        buf_printf(out, " %g or more", match->score_min);
    if (!isnan(match->score_below))
        buf_printf(out, "%s below %g", isnan(match->score_min) ? "" : " and", match->score_below);
}

static void why_text(const char *key, struct str has, char *const *words, size_t n, struct buf *out)
{
    if (has.len > 0)
        buf_printf(out, "%s is %.*s, the rule wants ", key, (int)has.len, has.p);
    else
        buf_printf(out, "it has no %s, the rule wants ", key);
    put_words(out, words, n);
}

static void why_endpoint(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    why_text("endpoint", subject->alert->endpoint, match->endpoints, match->n_endpoints, out);
}

static void why_group(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    why_text("group", subject->alert->group, match->groups, match->n_groups, out);
}

static void why_label(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    why_text("label", subject->alert->camera.label, match->labels, match->n_labels, out);
}

static void why_camera_zone(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    why_text("camera_zone", subject->alert->camera.zone, match->camera_zones, match->n_camera_zones, out);
}

static void why_area(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    struct str code = subject_area(subject, match->area_layer);
    if (subject->alert->place.source == LOCATION_NONE)
        buf_printf(out, "no place is known, the rule wants one in layer %s: ", match->area_layer);
    else if (code.len == 0)
        buf_printf(out, "its place is in no area of layer %s, the rule wants ", match->area_layer);
    else
        buf_printf(out, "its place is in %s %.*s, the rule wants ", match->area_layer, (int)code.len, code.p);
    if (match->n_area_codes == 0)
        buf_printf(out, "any");
    put_words(out, match->area_codes, match->n_area_codes);
}

static void why_device(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    buf_printf(out, "device is %s, the rule wants ", subject_device(subject));
    put_words(out, match->devices, match->n_devices);
}

static void why_time(const struct conf_match *match, struct subject *subject, struct buf *out)
{
    struct local_time time = subject_time(subject);
    const struct conf_hours *hours = &match->hours;
    buf_printf(out, "it occurred on %s at %02d:%02d local time, the rule wants ", day_word((unsigned)time.day),
               time.minute / 60, time.minute % 60);
    put_bits(out, match->days, day_word);
    if (match->has_hours)
        buf_printf(out, "%s%02d:%02d-%02d:%02d", match->days ? ", " : "", hours->from_min / 60, hours->from_min % 60,
                   hours->until_min / 60, hours->until_min % 60);
}

#define KEY_AND_WHY(name) {key_##name, why_##name},

bool rules_explain(const struct conf_match *match, const struct alert *alert, struct buf *why)
{
    static const struct {
        bool (*matches)(const struct conf_match *, struct subject *);
        void (*explain)(const struct conf_match *, struct subject *, struct buf *);
    } keys[] = {RULE_KEYS(KEY_AND_WHY)};
    struct subject subject = SUBJECT(alert);
    bool matches = true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (keys[i].matches(match, &subject))
            continue;
        if (!matches)
            buf_printf(why, "; ");
        keys[i].explain(match, &subject, why);
        matches = false;
    }
    return matches;
}
