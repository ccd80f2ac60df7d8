#include "base/transition.h"
#include "store/transaction_parts.h"

#define TO(state) STATE_BIT(TRANSACTION_##state)

/* Refused, another daemon, or anything else. */
#define TO_FAILURE (TO(ROLLING_BACK) | TO(LOST))

/* The exits of enum transaction_state. */
static const struct machine_state states[] = {
    [TRANSACTION_NONE] = {"none", TO(READING_PERIODS) | TO(ADDING_ORIGINS) | TO(SEARCHING) | TO(OPENING)},
    [TRANSACTION_READING_PERIODS] = {"reading periods", TO(READING_FILTER) | TO(ADDING_ORIGINS) | TO(SEARCHING) |
                                                            TO(OPENING) | TO(RETRY_LATER) | TO(LOST)},
    [TRANSACTION_READING_FILTER] = {"reading a filter", TO(READING_FILTER) | TO(ADDING_ORIGINS) | TO(SEARCHING) |
                                                            TO(OPENING) | TO(RETRY_LATER) | TO(LOST)},
    [TRANSACTION_ADDING_ORIGINS] = {"adding origins", TO(SEARCHING) | TO(OPENING) | TO(RETRY_LATER) | TO(LOST)},
    [TRANSACTION_SEARCHING] = {"searching", TO(OPENING) | TO(RETRY_LATER) | TO(LOST)},
    [TRANSACTION_OPENING] = {"opening", TO(COPYING_IDENTITIES) | TO(CLAIMING) | TO(QUARANTINING) | TO(COMMITTING) |
                                            TO(ABANDONING) | TO_FAILURE},
    [TRANSACTION_COPYING_IDENTITIES] = {"copying identities", TO(READING) | TO(UNDOING) | TO_FAILURE},
    [TRANSACTION_UNDOING] = {"undoing", TO(CLAIMING) | TO_FAILURE},
    [TRANSACTION_CLAIMING] = {"claiming", TO(COMPARING) | TO(READING) | TO(QUARANTINING) | TO(COMMITTING) | TO_FAILURE},
    [TRANSACTION_COMPARING] = {"comparing", TO(READING) | TO(QUARANTINING) | TO(COMMITTING) | TO_FAILURE},
    [TRANSACTION_READING] = {"reading", TO(STORING) | TO(PROBING) | TO(SENDING) | TO(ABANDONING) | TO_FAILURE},
    [TRANSACTION_STORING] = {"storing", TO(SENDING) | TO(BISECTING) | TO_FAILURE},
    [TRANSACTION_PROBING] = {"probing", TO_FAILURE},
    [TRANSACTION_SENDING] = {"sending", TO(AWAITING) | TO(BISECTING) | TO_FAILURE},
    [TRANSACTION_AWAITING] = {"awaiting",
                              TO(SENDING_IMAGES) | TO(COMMITTING) | TO(QUARANTINING) | TO(BISECTING) | TO_FAILURE},
    [TRANSACTION_SENDING_IMAGES] = {"sending images", TO(COMMITTING) | TO(QUARANTINING) | TO_FAILURE},
    [TRANSACTION_BISECTING] = {"bisecting", TO_FAILURE},
    [TRANSACTION_QUARANTINING] = {"quarantining", TO(COMMITTING) | TO_FAILURE},
    [TRANSACTION_COMMITTING] = {"committing", TO(COMMITTED) | TO_FAILURE},
    [TRANSACTION_ABANDONING] = {"abandoning", TO_FAILURE},
    [TRANSACTION_ROLLING_BACK] = {"rolling back", TO(OPENING) | TO(READING_PERIODS) | TO(MAKING_PARTITIONS) |
                                                      TO(RETRY_LATER) | TO(POSITION_MOVED) | TO(REFUSED) | TO(LOST)},
    [TRANSACTION_MAKING_PARTITIONS] = {"making partitions", TO(OPENING) | TO(RETRY_LATER) | TO(LOST)},
    [TRANSACTION_COMMITTED] = {"committed", TO(NONE) | TO(LOST)},
    [TRANSACTION_RETRY_LATER] = {"retry later", TO(NONE)},
    [TRANSACTION_POSITION_MOVED] = {"position moved", TO(NONE)},
    [TRANSACTION_REFUSED] = {"refused", TO(NONE)},
    [TRANSACTION_LOST] = {"lost", TO(NONE)},
};

void transaction_set_state(struct transaction *t, enum transaction_state state, const char *reason)
{
    transition_check(states, t->state, state, TRANSACTION_SUBJECT, "transaction", reason);
    t->state = state;
}

const char *transaction_state_name(const struct transaction *t)
{
    return states[t->state].name;
}
