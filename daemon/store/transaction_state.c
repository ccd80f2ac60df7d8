#include "base/log.h"
#include "base/transition.h"
#include "store/transaction_parts.h"

#define TO(state) STATE_BIT(TRANSACTION_##state)

/* Refused, another daemon, or anything else. */
#define TO_FAILURE (TO(ROLLING_BACK) | TO(LOST))

static const char *const names[] = {
    [TRANSACTION_NONE] = "none",
    [TRANSACTION_READING_PERIODS] = "reading periods",
    [TRANSACTION_READING_FILTER] = "reading a filter",
    [TRANSACTION_SEARCHING] = "searching",
    [TRANSACTION_ADDING_ORIGINS] = "adding origins",
    [TRANSACTION_OPENING] = "opening",
    [TRANSACTION_COPYING_IDENTITIES] = "copying identities",
    [TRANSACTION_UNDOING] = "undoing",
    [TRANSACTION_CLAIMING] = "claiming",
    [TRANSACTION_COMPARING] = "comparing",
    [TRANSACTION_READING] = "reading",
    [TRANSACTION_STORING] = "storing",
    [TRANSACTION_PROBING] = "probing",
    [TRANSACTION_SENDING] = "sending",
    [TRANSACTION_AWAITING] = "awaiting",
    [TRANSACTION_SENDING_IMAGES] = "sending images",
    [TRANSACTION_BISECTING] = "bisecting",
    [TRANSACTION_QUARANTINING] = "quarantining",
    [TRANSACTION_COMMITTING] = "committing",
    [TRANSACTION_ABANDONING] = "abandoning",
    [TRANSACTION_ROLLING_BACK] = "rolling back",
    [TRANSACTION_MAKING_PARTITIONS] = "making partitions",
    [TRANSACTION_COMMITTED] = "committed",
    [TRANSACTION_RETRY_LATER] = "retry later",
    [TRANSACTION_POSITION_MOVED] = "position moved",
    [TRANSACTION_REFUSED] = "refused",
    [TRANSACTION_LOST] = "lost",
};

/* The exits of enum transaction_state. */
static const uint32_t transitions[] = {
    [TRANSACTION_NONE] = TO(READING_PERIODS) | TO(ADDING_ORIGINS) | TO(SEARCHING) | TO(OPENING),
    [TRANSACTION_READING_PERIODS] =
        TO(READING_FILTER) | TO(ADDING_ORIGINS) | TO(SEARCHING) | TO(OPENING) | TO(RETRY_LATER) | TO(LOST),
    [TRANSACTION_READING_FILTER] =
        TO(READING_FILTER) | TO(ADDING_ORIGINS) | TO(SEARCHING) | TO(OPENING) | TO(RETRY_LATER) | TO(LOST),
    [TRANSACTION_ADDING_ORIGINS] = TO(SEARCHING) | TO(OPENING) | TO(RETRY_LATER) | TO(LOST),
    [TRANSACTION_SEARCHING] = TO(OPENING) | TO(RETRY_LATER) | TO(LOST),
    [TRANSACTION_OPENING] =
        TO(COPYING_IDENTITIES) | TO(CLAIMING) | TO(QUARANTINING) | TO(COMMITTING) | TO(ABANDONING) | TO_FAILURE,
    [TRANSACTION_COPYING_IDENTITIES] = TO(READING) | TO(UNDOING) | TO_FAILURE,
    [TRANSACTION_UNDOING] = TO(CLAIMING) | TO_FAILURE,
    [TRANSACTION_CLAIMING] = TO(COMPARING) | TO(READING) | TO(QUARANTINING) | TO(COMMITTING) | TO_FAILURE,
    [TRANSACTION_COMPARING] = TO(READING) | TO(QUARANTINING) | TO(COMMITTING) | TO_FAILURE,
    [TRANSACTION_READING] = TO(STORING) | TO(PROBING) | TO(SENDING) | TO(ABANDONING) | TO_FAILURE,
    [TRANSACTION_STORING] = TO(SENDING) | TO(BISECTING) | TO_FAILURE,
    [TRANSACTION_PROBING] = TO_FAILURE,
    [TRANSACTION_SENDING] = TO(AWAITING) | TO(BISECTING) | TO_FAILURE,
    [TRANSACTION_AWAITING] = TO(SENDING_IMAGES) | TO(COMMITTING) | TO(QUARANTINING) | TO(BISECTING) | TO_FAILURE,
    [TRANSACTION_SENDING_IMAGES] = TO(COMMITTING) | TO(QUARANTINING) | TO_FAILURE,
    [TRANSACTION_BISECTING] = TO_FAILURE,
    [TRANSACTION_QUARANTINING] = TO(COMMITTING) | TO_FAILURE,
    [TRANSACTION_COMMITTING] = TO(COMMITTED) | TO_FAILURE,
    [TRANSACTION_ABANDONING] = TO_FAILURE,
    [TRANSACTION_ROLLING_BACK] = TO(OPENING) | TO(READING_PERIODS) | TO(MAKING_PARTITIONS) | TO(RETRY_LATER) |
                                 TO(POSITION_MOVED) | TO(REFUSED) | TO(LOST),
    [TRANSACTION_MAKING_PARTITIONS] = TO(OPENING) | TO(RETRY_LATER) | TO(LOST),
    [TRANSACTION_COMMITTED] = TO(NONE) | TO(LOST),
    [TRANSACTION_RETRY_LATER] = TO(NONE),
    [TRANSACTION_POSITION_MOVED] = TO(NONE),
    [TRANSACTION_REFUSED] = TO(NONE),
    [TRANSACTION_LOST] = TO(NONE),
};

void transaction_set_state(struct transaction *t, enum transaction_state state, const char *reason)
{
    log_debug(TRANSACTION_SUBJECT, "transaction: %s -> %s: %s", names[t->state], names[state], reason);
    transition_check(transitions, t->state, state, "transaction");
    t->state = state;
}

const char *transaction_state_name(const struct transaction *t)
{
    return names[t->state];
}
