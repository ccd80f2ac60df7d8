#include "ctl/operate/watch_metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"

static void append_all(struct buf *out, const struct watch_metrics *metrics, const char *file)
{
    const struct {
        const char *type, *name, *help;
        double value;
    } samples[] = {
        {"counter", "taken_total", "Events that were delivered.", (double)metrics->taken},
        {"counter", "failed_total", "Attempts to deliver an event that failed.", (double)metrics->failed},
        {"counter", "dead_letters_total", "Events that were given up and became dead letters.", (double)metrics->dead},
        {"gauge", "waiting_seconds", "How long the current event has waited for delivery; 0: none.",
         (double)metrics->waiting_us / 1e6},
        {"gauge", "last_taken_timestamp_seconds", "When the last event was delivered; 0: never.",
         (double)metrics->taken_wall_us / 1e6},
    };
    const char *slash = strrchr(file, '/'), *watch = slash ? slash + 1 : file;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        buf_printf(out,
                   "# HELP mobeyectl_watch_%s %s\n# TYPE mobeyectl_watch_%s %s\n"
                   "mobeyectl_watch_%s{watch=\"%.*s\"} %.17g\n",
                   samples[i].name, samples[i].help, samples[i].name, samples[i].type, samples[i].name,
                   (int)strcspn(watch, ".\"\\"), watch, samples[i].value);
}

int watch_metrics_write(const struct watch_metrics *metrics, const char *file, struct err *err)
{
    struct buf text = {0};
    append_all(&text, metrics, file);
    int rc = file_replace(AT_FDCWD, file, buf_str(&text), 0644);
    buf_free(&text);
    return rc == 0 ? 0 : err_set(err, "%s: %s", file, strerror(errno));
}
