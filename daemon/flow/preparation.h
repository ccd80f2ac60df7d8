/*
 * Prepares a batch between the journal and the writer: unpacks and enriches its records in steps, so that senders need
 * not wait for all of them. Starts over if the registry, the areas or the rules change meanwhile.
 */
#ifndef MOBEYE_FLOW_PREPARATION_H
#define MOBEYE_FLOW_PREPARATION_H

#include "conf/conf.h"
#include "flow/reference_data.h"
#include "model/batch.h"

struct preparation;

/* The caller owns reference and conf, which must stay valid. Never NULL. */
struct preparation *preparation_new(struct reference_data *reference, const struct conf *conf);
void preparation_free(struct preparation **preparation); /* safe on NULL; a batch in it is freed */

/* Another configuration, whose rules apply to the whole batch. */
void preparation_reload(struct preparation *preparation, const struct conf *conf);

/* Takes ownership of a batch as filled by journal_read(). Must not be busy. */
void preparation_begin(struct preparation *preparation, struct batch *batch);

/* Whether it has a batch. */
bool preparation_busy(const struct preparation *preparation);

/* Prepares the next rows, for about a millisecond; the reference data must be usable. Returns whether the batch is
 * complete. A complete one may wait here: the next call starts over if anything has changed since. */
bool preparation_step(struct preparation *preparation);

/* Returns the batch to the caller, complete or not; NULL: there was none. */
struct batch *preparation_take(struct preparation *preparation);

#endif
