/*
 * The identities of the alerts that one run has sent, to tell when one is sent again.
 */
#ifndef MOBEYE_CTL_SEND_SENT_H
#define MOBEYE_CTL_SEND_SENT_H

#include "base/hash.h"
#include "model/alert.h"

/* {0} is empty. */
struct sent {
    struct hash identities;
};

/* Adds the alert on this line. Returns the line of an earlier alert of the same source, id and device; 0: none. */
uint64_t sent_add(struct sent *sent, const struct alert *alert, uint64_t line);

void sent_free(struct sent *sent);

#endif
