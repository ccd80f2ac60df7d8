/*
 * Which incident an alert joins or makes. Pure: no clock, no configuration, no database; it sees the incidents that it
 * is given in the book, and leaves there what became of them.
 *
 * The book holds, of the batch's alerts: the thread of each that the database has, with its incident; of each restore
 * also the general thread of its device and kind (group_general_thread()), and of one that is general itself, having no
 * input and no track, all threads of its device and kind; and of each key its accepting incident, and every other one
 * whose time, its gap on both sides, touches the times of occurrence of the key's alerts. Threads that are not there
 * are new.
 */
#ifndef MOBEYE_ENRICH_FOLD_H
#define MOBEYE_ENRICH_FOLD_H

#include "alert/batch.h"
#include "alert/incident.h"

/* Goes through the rows of the batch in their order; row i is left out (its alert.incident is NO_INCIDENT) where
 * store[i] is 0. Sets alert.incident of every other, adds incidents and threads to the book, and marks what changed.
 * Strings of what it adds are the batch's. */
void fold(struct book *book, struct batch *batch, const uint8_t *store);

#endif
