/* Cursor and tracks as text: the state file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "frigate/tracks.h"

#define FIRST_LINE     "mobeye-frigate state 1"
#define LINE_MAX_BYTES 2048

/* Appends a field; a character that would end it becomes a space. */
static void append_field(struct buf *out, const char *text)
{
    buf_append_str(out, STR("\t"));
    size_t from = out->len;
    buf_append_str(out, str_from(text));
    for (size_t i = from; i < out->len; i++)
        if ((unsigned char)out->data[i] < ' ')
            out->data[i] = ' ';
}

static void write_track(const struct track *track, struct buf *out)
{
    const struct track_report last = track_report_of(&track->last);
    /* For a track that was rejected from the start: what to send if Frigate has forgotten the event. */
    const struct track_report *known = track->done & TRACK_NEW ? &track->accepted : &last;
    buf_printf(out, "track\t%s\t%.6f\t%u\t%u\t%.17g\t%d", track->last.id, track->last.start_s, track->done,
               known->n_zones, known->top_score, (int)known->stationary);
    append_field(out, track->last.camera);
    append_field(out, track->last.label);
    buf_append_str(out, STR("\n"));
}

void tracks_write(const struct tracks *tracks, const struct tracks_extra *extra, struct buf *out)
{
    const struct track *track;
    buf_printf(out, FIRST_LINE "\n");
    if (!isnan(tracks->cursor_s))
        buf_printf(out, "cursor\t%.6f\n", tracks->cursor_s);
    if (extra->offline)
        buf_printf(out, "offline\t%s\n", extra->offline_by_mqtt ? "mqtt" : "rest");
    /* Tracks without any reply need not be written: they are found again. */
    TAILQ_FOREACH(track, &tracks->list, entry)
    if (track->done & (TRACK_NEW | TRACK_REJECTED))
        write_track(track, out);
}

static bool parse_number(const char *text, double *ret)
{
    char *end;
    if (!text || !*text)
        return false;
    *ret = strtod(text, &end);
    return *end == '\0';
}

/* Fields: ID, start, done, zones, score, stationary, camera, label. */
static bool read_track(struct tracks *tracks, char *rest, int64_t mono_us)
{
    enum { ID, START, DONE, ZONES, SCORE, STATIONARY, CAMERA, LABEL, FIELDS };
    char *field[FIELDS];
    double number[FIELDS];
    for (int i = 0; i < FIELDS; i++)
        if (!(field[i] = strsep(&rest, "\t")))
            return false;
    for (int i = START; i <= STATIONARY; i++)
        if (!parse_number(field[i], &number[i]))
            return false;
    if (!*field[ID] || strlen(field[ID]) >= FRIGATE_ID_SIZE || tracks_find(tracks, field[ID]) ||
        !(number[DONE] >= 0 && number[DONE] <= TRACK_BITS) || !(number[ZONES] >= 0 && number[ZONES] <= 1e6) ||
        !(number[STATIONARY] >= TRI_UNKNOWN && number[STATIONARY] <= TRI_YES))
        return false;
    struct frigate_event event = {.start_s = number[START],
                                  .end_s = NAN,
                                  .frame_s = NAN,
                                  .top_score = number[SCORE],
                                  .n_zones = (unsigned)number[ZONES],
                                  .stationary = (enum frigate_tri)number[STATIONARY],
                                  .false_positive = TRI_UNKNOWN,
                                  .has_snapshot = TRI_UNKNOWN};
    snprintf(event.id, sizeof(event.id), "%s", field[ID]);
    snprintf(event.camera, sizeof(event.camera), "%s", field[CAMERA]);
    snprintf(event.label, sizeof(event.label), "%s", field[LABEL]);
    struct track *track = tracks_add(tracks, &event, mono_us);
    if (!track)
        return false;
    track->done = (unsigned)number[DONE];
    track->queued = track->done & ~(unsigned)TRACK_REJECTED;
    track->sent = track->accepted = track_report_of(&event);
    return true;
}

static bool read_line(struct tracks *tracks, struct tracks_extra *extra, char *line, int64_t mono_us)
{
    char *rest = line;
    const char *word = strsep(&rest, "\t");
    if (strcmp(word, "cursor") == 0)
        return parse_number(rest, &tracks->cursor_s);
    if (strcmp(word, "offline") == 0) {
        extra->offline = true;
        extra->offline_by_mqtt = rest && strcmp(rest, "mqtt") == 0;
        return true;
    }
    if (strcmp(word, "track") == 0 && rest)
        return read_track(tracks, rest, mono_us);
    return strcmp(word, FIRST_LINE) == 0;
}

unsigned tracks_read(struct tracks *tracks, struct tracks_extra *ret_extra, struct str text, int64_t mono_us)
{
    char line[LINE_MAX_BYTES];
    unsigned skipped = 0;
    *ret_extra = (struct tracks_extra){0};
    for (size_t at = 0; at < text.len;) {
        const char *from = text.p + at, *end = memchr(from, '\n', text.len - at);
        size_t len = end ? (size_t)(end - from) : text.len - at;
        at += len + 1;
        bool fits = len < sizeof(line) && !memchr(from, '\0', len);
        snprintf(line, sizeof(line), "%.*s", fits ? (int)len : 0, from);
        skipped += !fits || (len > 0 && !read_line(tracks, ret_extra, line, mono_us));
    }
    tracks->dirty = false;
    return skipped;
}
