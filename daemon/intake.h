/*
 * What is kept of an endpoint by its name: it outlives the socket across reloads. And the records of a message.
 */
#ifndef MOBEYE_INTAKE_H
#define MOBEYE_INTAKE_H

#include "alert/alert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "ingest/dc09_crypt.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/security.h"
#include "journal/journal.h"

/* The records of one message on their way into the journal: one of CloudEvents, one an event of DC-09. {0} is none.
 * Free it with buf_free(&records.bytes). */
struct share; /* share.h */
struct records {
    struct buf bytes; /* one behind the other */
    size_t n;
    size_t len[JOURNAL_MESSAGE_RECORDS];
    size_t shared_offset, shared_bytes; /* as of struct journal_message */
    struct share *share;                /* of the client who sent it; NULL: on no list */
};

void records_clear(struct records *records);
void records_add(struct records *records, const struct alert *alert);

struct intake {
    struct intake *next;
    struct metrics_endpoint *counters;
    char subject[96]; /* "endpoint NAME", for the log */
    struct complaint refused[REJECT_COUNT], not_let_in[SECURITY_REFUSALS], unread, taken_over;
    struct records held;    /* pull and sub: what found the journal full; while there are any, reading has stopped */
    struct dc09_keys *keys; /* NULL: none */
    int64_t heard_us;       /* monotonic: when the last message that was not refused came, or the start */
    int64_t heard_wall_us;  /* the same on the wall; ALERT_NO_TIME: none since the start */
    bool looked_silent;     /* as intake_look() last returned it */
};

/* The one of these counters in the list: found or made. */
struct intake *intake_find(struct intake **list, struct metrics_endpoint *counters, int64_t mono_us);
void intake_free_all(struct intake **list);

/* A message came that was not refused. */
void intake_heard(struct intake *intake, int64_t mono_us, int64_t wall_us);

/* Wall time of the last such message of the endpoint; ALERT_NO_TIME: none since the start. */
int64_t intake_heard_us(const struct intake *list, const char *endpoint);

/* Ends complaints about what has not happened for a minute. Whether nothing was heard for expect_every_us (0: whenever)
 * is told once, in the log and the metrics. True where that is another answer than the last time. */
bool intake_look(struct intake *intake, int64_t expect_every_us, int64_t mono_us);

/* Reads the keys of every endpoint of conf that has a file of them, in the order of the endpoints; NULL for the others.
 * NULL with err set, naming the file. Free with intake_free_keys(). */
struct dc09_keys **intake_load_keys(const struct conf *conf, struct err *err);
void intake_free_keys(struct dc09_keys ***keys, size_t n); /* safe on NULL */

#endif
