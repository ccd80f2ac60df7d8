#include "ctl/lib/sender_file.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ingest/reject.h"
#include "model/alert.h"

void sender_file_too_large(uint64_t len, struct buf *out)
{
    buf_printf(out, "%s: message: the document has %llu bytes (expected at most %d)", reject_word(REJECT_TOO_LARGE),
               (unsigned long long)len, ALERT_PAYLOAD_MAX);
}

static void refuse_long_document(struct sender *sender, const struct line_text *line)
{
    struct buf why = {0};
    sender_file_too_large(line->len, &why);
    sender_refuse(sender, line->number, buf_str(&why));
    buf_free(&why);
}

/* Reads documents while the window has room. Returns whether the file may have more. */
static bool take_lines(struct sender *sender, const struct sender_file *file)
{
    struct line_text line;
    while (sender_has_room(sender)) {
        if (!documents_next(file->documents, &line))
            return !file->documents->lines->end;
        if (line.len > file->documents->lines->max) {
            refuse_long_document(sender, &line);
        } else {
            uint64_t alerts = sender_counts(sender).alerts;
            struct sender_message message = {.payload = line.text, .number = line.number};
            if (alerts < file->n_images) {
                message.has_image = true;
                message.image = buf_str(&file->images[alerts]);
            }
            sender_add(sender, &message);
        }
    }
    return false;
}

static int wait_and_read(const struct sender *sender, struct lines *lines, bool more_lines, struct err *err)
{
    zmq_pollitem_t items[SENDER_POLL_ITEMS + 1];
    sender_poll_items(sender, items);
    items[SENDER_POLL_ITEMS] = (zmq_pollitem_t){.fd = lines->fd, .events = ZMQ_POLLIN};
    long ms = -1;
    int64_t due_us = sender_due_us(sender), now_us = clock_mono_us();
    if (due_us != INT64_MAX)
        ms = due_us <= now_us ? 0 : (long)((due_us - now_us) / CLOCK_MS + 1);
    if (zmq_poll(items, more_lines ? SENDER_POLL_ITEMS + 1 : SENDER_POLL_ITEMS, ms) < 0 && errno != EINTR)
        return err_set(err, "zmq_poll: %s", zmq_strerror(errno));
    if (more_lines && items[SENDER_POLL_ITEMS].revents && lines_read(lines) != 0)
        return err_set(err, "cannot read: %s", strerror(errno));
    return 0;
}

static void show_progress(const struct sender *sender, uint64_t total)
{
    struct sender_counts counts = sender_counts(sender);
    if (total > 0)
        ctl_progress("send", counts.accepted + counts.rejected, total);
}

static int send_lines(struct sender *sender, const struct sender_file *file, struct err *err)
{
    for (;;) {
        bool more_lines = take_lines(sender, file), full = !sender_has_room(sender);
        if (!more_lines && sender_counts(sender).unanswered == 0)
            return 0;
        if (sender_step(sender, err) != 0)
            return -1;
        show_progress(sender, file->total);
        bool go_on = full ? sender_has_room(sender) : !more_lines && sender_counts(sender).unanswered == 0;
        if (!go_on && wait_and_read(sender, file->documents->lines, more_lines, err) != 0)
            return -1;
    }
}

int sender_file_send(const struct sender_options *options, const struct sender_file *file,
                     struct sender_counts *ret_counts, struct err *err)
{
    *ret_counts = (struct sender_counts){0};
    struct sender *sender = sender_new(options, err);
    int status = sender ? send_lines(sender, file, err) : -1;
    if (sender)
        *ret_counts = sender_counts(sender);
    sender_free(&sender);
    return status;
}
