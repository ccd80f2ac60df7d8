#include "ingest/dc09_codes.h"

#include <string.h>

#include "base/array.h"

/* What determines the phase of an event. */
enum phase_rule {
    RAISES,
    RESTORES,
    CANCELS,
    QUALIFIED, /* by the Contact-ID qualifier */
    STATES     /* the qualifier names one of two states (401: 1 open, 3 closed), each of which is a raise */
};

static const struct {
    char code[4];
    enum alert_kind kind;
    enum phase_rule rule;
    uint32_t flags;
} codes[] = {
    /* Burglary */
    {"BA", KIND_INTRUSION, RAISES, 0},
    {"BV", KIND_INTRUSION, RAISES, FLAG_VERIFIED},
    {"BR", KIND_INTRUSION, RESTORES, 0},
    {"BH", KIND_INTRUSION, RESTORES, 0},
    {"BC", KIND_INTRUSION, CANCELS, FLAG_CANCEL},
    {"130", KIND_INTRUSION, QUALIFIED, 0},
    {"131", KIND_INTRUSION, QUALIFIED, 0},
    {"132", KIND_INTRUSION, QUALIFIED, 0},
    {"133", KIND_INTRUSION, QUALIFIED, 0},
    {"134", KIND_INTRUSION, QUALIFIED, 0},
    {"135", KIND_INTRUSION, QUALIFIED, 0},
    {"136", KIND_INTRUSION, QUALIFIED, 0},
    {"138", KIND_INTRUSION, QUALIFIED, 0},
    {"139", KIND_INTRUSION, QUALIFIED, 0},
    {"140", KIND_INTRUSION, QUALIFIED, 0},
    {"TA", KIND_TAMPER, RAISES, 0},
    {"TR", KIND_TAMPER, RESTORES, 0},
    {"137", KIND_TAMPER, QUALIFIED, 0},
    {"144", KIND_TAMPER, QUALIFIED, 0},

    /* People in danger */
    {"PA", KIND_PANIC, RAISES, 0},
    {"PR", KIND_PANIC, RESTORES, 0},
    {"PH", KIND_PANIC, RESTORES, 0},
    {"120", KIND_PANIC, QUALIFIED, 0},
    {"HA", KIND_HOLDUP, RAISES, 0},
    {"HR", KIND_HOLDUP, RESTORES, 0},
    {"HH", KIND_HOLDUP, RESTORES, 0},
    {"121", KIND_HOLDUP, QUALIFIED, 0},
    {"122", KIND_HOLDUP, QUALIFIED, 0},

    /* Fire, temperature, water */
    {"FA", KIND_FIRE, RAISES, 0},
    {"FR", KIND_FIRE, RESTORES, 0},
    {"FH", KIND_FIRE, RESTORES, 0},
    {"110", KIND_FIRE, QUALIFIED, 0},
    {"KA", KIND_HEAT, RAISES, 0},
    {"KR", KIND_HEAT, RESTORES, 0},
    {"KH", KIND_HEAT, RESTORES, 0},
    {"158", KIND_HEAT, QUALIFIED, 0},
    {"ZA", KIND_COLD, RAISES, 0},
    {"ZR", KIND_COLD, RESTORES, 0},
    {"ZH", KIND_COLD, RESTORES, 0},
    {"159", KIND_COLD, QUALIFIED, 0},
    {"WA", KIND_WATER, RAISES, 0},
    {"WR", KIND_WATER, RESTORES, 0},
    {"WH", KIND_WATER, RESTORES, 0},
    {"113", KIND_WATER, QUALIFIED, 0},

    /* The alarm set itself */
    {"AT", KIND_POWER, RAISES, 0},
    {"AR", KIND_POWER, RESTORES, 0},
    {"301", KIND_POWER, QUALIFIED, 0},
    {"YT", KIND_BATTERY, RAISES, 0},
    {"XT", KIND_BATTERY, RAISES, 0},
    {"YR", KIND_BATTERY, RESTORES, 0},
    {"XR", KIND_BATTERY, RESTORES, 0},
    {"302", KIND_BATTERY, QUALIFIED, 0},
    {"YC", KIND_COMMS, RAISES, 0},
    {"YS", KIND_COMMS, RAISES, 0},
    {"YK", KIND_COMMS, RESTORES, 0},
    {"350", KIND_COMMS, QUALIFIED, 0},
    {"354", KIND_COMMS, QUALIFIED, 0},

    /* Signs of life and of use */
    {"RP", KIND_KEEPALIVE, RAISES, 0},
    {"RX", KIND_KEEPALIVE, RAISES, 0},
    {"602", KIND_KEEPALIVE, STATES, 0},
    {"601", KIND_KEEPALIVE, STATES, 0},
    {"OP", KIND_ARM, RAISES, 0},
    {"CL", KIND_ARM, RAISES, 0},
    {"401", KIND_ARM, STATES, 0},
    {"BB", KIND_BYPASS, RAISES, 0},
    {"BU", KIND_BYPASS, RESTORES, 0},
    {"570", KIND_BYPASS, QUALIFIED, 0},
};

static const struct dc09_meaning unknown = {KIND_UNKNOWN, PHASE_RAISE, 0};

static enum alert_phase phase_of(enum phase_rule rule, enum alert_phase qualified)
{
    switch (rule) {
    case RESTORES:
        return PHASE_RESTORE;
    case CANCELS:
        return PHASE_UPDATE;
    case QUALIFIED:
        return qualified;
    case STATES:
        return qualified == PHASE_UPDATE ? PHASE_UPDATE : PHASE_RAISE;
    case RAISES:
        break;
    }
    return PHASE_RAISE;
}

static struct dc09_meaning find_meaning(struct str code, size_t code_len, enum alert_phase qualified)
{
    if (code.len == code_len)
        for (size_t i = 0; i < ARRAY_LEN(codes); i++)
            if (memcmp(code.p, codes[i].code, code_len) == 0 && codes[i].code[code_len] == '\0')
                return (struct dc09_meaning){codes[i].kind, phase_of(codes[i].rule, qualified), codes[i].flags};
    struct dc09_meaning meaning = unknown;
    meaning.phase = qualified;
    return meaning;
}

struct dc09_meaning dc09_code_sia(struct str code)
{
    return find_meaning(code, 2, PHASE_RAISE);
}

struct dc09_meaning dc09_code_cid(char qualifier, struct str event)
{
    switch (qualifier) {
    case '1':
        return find_meaning(event, 3, PHASE_RAISE);
    case '3':
        return find_meaning(event, 3, PHASE_RESTORE);
    case '6':
        return find_meaning(event, 3, PHASE_UPDATE);
    default:
        return unknown;
    }
}
