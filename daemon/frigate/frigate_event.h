/*
 * What Frigate says about one event (a tracked object), by MQTT or by REST, as a plain struct of bounded size.
 *
 * Frigate's JSON differs between versions and between the two interfaces, and members may be missing, null or of
 * another type: such a member counts as not given. Text that is not JSON in the strict sense (NaN, lone surrogates,
 * bytes that are not UTF-8) is repaired before it is read, since one bad member must not hide a whole list of events.
 */
#ifndef MOBEYE_FRIGATE_FRIGATE_EVENT_H
#define MOBEYE_FRIGATE_FRIGATE_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Bytes with the final NUL. An alert ID is at most 128: EVENT:update:FRAME_TIME. */
#define FRIGATE_ID_SIZE    81
#define FRIGATE_FRAME_SIZE 33
#define FRIGATE_TEXT_SIZE  257

/* Longer texts are not read. */
#define FRIGATE_MESSAGE_MAX ((size_t)1 << 20) /* MQTT */
#define FRIGATE_LIST_MAX    ((size_t)8 << 20) /* REST */

enum frigate_tri { TRI_UNKNOWN = -1, TRI_NO, TRI_YES };

struct frigate_event {
    char id[FRIGATE_ID_SIZE]; /* printable ASCII, never empty */
    char camera[FRIGATE_TEXT_SIZE];
    char label[FRIGATE_TEXT_SIZE]; /* empty: not given, as for the next three */
    char zone[FRIGATE_TEXT_SIZE];  /* the last entered */
    char sub_label[FRIGATE_TEXT_SIZE];
    char plate[FRIGATE_TEXT_SIZE];
    unsigned n_zones;                    /* entered so far */
    double start_s, end_s, frame_s;      /* Unix time; NAN: not given */
    char frame_time[FRIGATE_FRAME_SIZE]; /* frame_s as Frigate wrote it; empty: not given */
    double top_score;                    /* 0 to 1; NAN: not given */
    double box[4];                       /* valid if n_box is 4 */
    unsigned n_box;                      /* numbers of the box */
    bool box_relative;                   /* x, y, width, height, each 0 to 1; else x1, y1, x2, y2 in pixels */
    enum frigate_tri false_positive, stationary, has_snapshot;
    bool ended;
};

struct frigate_reader;
struct frigate_reader *frigate_reader_new(void);
void frigate_reader_free(struct frigate_reader **reader); /* safe on NULL */

/* Reads a message of the topic PREFIX/events: the part under "after". false: it is not JSON, or names no event. */
bool frigate_read_message(struct frigate_reader *reader, struct str text, struct frigate_event *ret);

/* Reads a response of /api/events (an array) or /api/events/ID (an object) and calls back for each event that has an
 * ID; the event is valid during the call. false: it is not JSON. ret_n: members of the array, with and without an ID.
 */
bool frigate_read_list(struct frigate_reader *reader, struct str text,
                       void (*on_event)(void *ctx, const struct frigate_event *event), void *ctx, size_t *ret_n);

/* Reads a response of /api/config. false: it is not JSON. */
struct frigate_config;
bool frigate_read_config(struct frigate_reader *reader, struct str text, struct frigate_config *ret);

/* Reads the member `name`, a string, of an object. false: not given. */
bool frigate_read_text(struct frigate_reader *reader, struct str text, const char *name, char *ret, size_t size);

/* Makes text acceptable to a strict reader without changing its length: NaN becomes "?", Infinity null, \u0000 and lone
 * surrogates become \ufffd, control characters within strings spaces, and bytes that are not UTF-8 "?". */
void frigate_repair(char *text, size_t len);

#endif
