#include "model/alert.h"

#include <stddef.h>
#include <string.h>

#include "base/array.h"

/* The word and the retention class of each kind. */
static const struct {
    struct str word;
    enum retention_class class;
} kinds[KIND_COUNT] = {
    [KIND_UNKNOWN] = {STR_INITIALIZER("unknown"), CLASS_ALARM},
    [KIND_INTRUSION] = {STR_INITIALIZER("intrusion"), CLASS_ALARM},
    [KIND_MOTION] = {STR_INITIALIZER("motion"), CLASS_ALARM},
    [KIND_PANIC] = {STR_INITIALIZER("panic"), CLASS_ALARM},
    [KIND_HOLDUP] = {STR_INITIALIZER("holdup"), CLASS_ALARM},
    [KIND_TAMPER] = {STR_INITIALIZER("tamper"), CLASS_ALARM},
    [KIND_FIRE] = {STR_INITIALIZER("fire"), CLASS_ALARM},
    [KIND_HEAT] = {STR_INITIALIZER("heat"), CLASS_ALARM},
    [KIND_COLD] = {STR_INITIALIZER("cold"), CLASS_ALARM},
    [KIND_WATER] = {STR_INITIALIZER("water"), CLASS_ALARM},
    [KIND_CAMERA] = {STR_INITIALIZER("camera"), CLASS_CAMERA},
    [KIND_POWER] = {STR_INITIALIZER("power"), CLASS_SERVICE},
    [KIND_BATTERY] = {STR_INITIALIZER("battery"), CLASS_SERVICE},
    [KIND_COMMS] = {STR_INITIALIZER("comms"), CLASS_SERVICE},
    [KIND_KEEPALIVE] = {STR_INITIALIZER("keepalive"), CLASS_SERVICE},
    [KIND_ARM] = {STR_INITIALIZER("arm"), CLASS_SERVICE},
    [KIND_BYPASS] = {STR_INITIALIZER("bypass"), CLASS_SERVICE},
};

static const char *const phases[PHASE_COUNT] = {"raise", "restore", "update"};
static const char *const location_sources[LOCATION_COUNT] = {"none", "message", "placement", "last_known"};
static const char *const classes[CLASS_COUNT] = {"alarm", "camera", "service"};

#define FLAG_WORD(bit, name, word) [bit] = (word),
static const char *const flags[] = {ALERT_FLAGS(FLAG_WORD)};
#undef FLAG_WORD

// NOLINTNEXTLINE(bugprone-macro-parentheses): a term of the sum below
#define FLAG_LENGTH(bit, name, word) +sizeof(word)
_Static_assert(0 ALERT_FLAGS(FLAG_LENGTH) < ALERT_FLAG_WORDS_SIZE, "the words of all flags, each with one byte more");
#undef FLAG_LENGTH

const char *alert_kind_word(enum alert_kind kind)
{
    return kinds[kind].word.p;
}

const char *alert_phase_word(enum alert_phase phase)
{
    return phases[phase];
}

const char *alert_location_word(enum location_source source)
{
    return location_sources[source];
}

const char *alert_class_word(enum retention_class retention)
{
    return classes[retention];
}

enum alert_kind alert_kind_from(struct str word)
{
    for (size_t i = 1; i < KIND_COUNT; i++)
        if (str_eq(word, kinds[i].word))
            return (enum alert_kind)i;
    return KIND_UNKNOWN;
}

int alert_phase_from(struct str word)
{
    for (size_t i = 0; i < PHASE_COUNT; i++)
        if (str_is(word, phases[i]))
            return (int)i;
    return -1;
}

enum retention_class alert_class(enum alert_kind kind)
{
    return kinds[kind].class;
}

const char *alert_flag_word(unsigned bit)
{
    return bit < ARRAY_LEN(flags) ? flags[bit] : NULL;
}

size_t alert_flag_words(uint32_t bits, char between, char out[ALERT_FLAG_WORDS_SIZE])
{
    size_t len = 0;
    for (unsigned bit = 0; bit < ARRAY_LEN(flags); bit++) {
        size_t word = strlen(flags[bit]);
        if (!(bits & 1u << bit))
            continue;
        if (len > 0)
            out[len++] = between;
        memcpy(out + len, flags[bit], word);
        len += word;
    }
    out[len] = '\0';
    return len;
}
