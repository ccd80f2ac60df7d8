/*
 * A batch between the journal and the writer: its records are unpacked and enriched, some at a time, so that senders
 * need not wait for all of them. Begins again where registry, areas or rules change in between.
 */
#ifndef MOBEYE_FLOW_PREPARATION_H
#define MOBEYE_FLOW_PREPARATION_H

#include "conf/conf.h"
#include "flow/reference_data.h"
#include "model/batch.h"

struct preparation;

/* Borrows atlas and conf. */
struct preparation *preparation_new(struct reference_data *reference, const struct conf *conf);
void preparation_free(struct preparation **preparation); /* safe on NULL; a batch in it is freed */

/* Another configuration, whose rules hold for the whole batch. */
void preparation_reload(struct preparation *preparation, const struct conf *conf);

/* Takes a batch as journal_read() filled it. There is none in it yet. */
void preparation_begin(struct preparation *preparation, struct batch *batch);

/* Whether there is one in it. */
bool preparation_busy(const struct preparation *preparation);

/* Prepares the next rows, about a millisecond's; the reference data must be usable. Returns the batch, which is the
 * caller's again, once all of it is prepared; else NULL. */
struct batch *preparation_step(struct preparation *preparation);

/* Gives the batch back unfinished; NULL: there was none. */
struct batch *preparation_abandon(struct preparation *preparation);

#endif
