#include "ctl/operate/journal_view.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_write.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "journal/lock.h"

#define VERB "journal"

static const char *describe_damage(const struct damage *damage, char *out, size_t size)
{
    uint64_t last = damage->first_seq + damage->count - 1;
    if (damage->kind == DAMAGE_COPY)
        snprintf(out, size, "a header, table or padding is damaged; its copy is valid");
    else if (damage->kind == DAMAGE_RECORDS)
        snprintf(out, size, "records %" PRIu64 " to %" PRIu64 " have wrong checksums", damage->first_seq, last);
    else if (damage->count > 0)
        snprintf(out, size, "no frame recognised; it contained records %" PRIu64 " to %" PRIu64, damage->first_seq,
                 last);
    else
        snprintf(out, size, "no frame recognised after record %" PRIu64, damage->first_seq - 1);
    return out;
}

void journal_view_print(const struct journal_view *view, const char *file, const char *place, const char *what)
{
    if (!view->request->call.json) {
        printf("%s%s: %s\n", file, place, what);
        return;
    }
    struct buf out = {0};
    buf_append_str(&out, STR("{"));
    json_write_text(&out, "file", str_from(file));
    json_write_text(&out, "damage", str_from(what));
    printf("%.*s}\n", (int)out.len, out.data);
    buf_free(&out);
}

/* A frame that a running daemon is writing looks incomplete; it is not damage. */
static bool note_damage(void *ctx, int fd, const struct damage *damage)
{
    struct journal_view *view = ctx;
    char name[SEGMENT_NAME_SIZE], place[64], what[160];
    (void)fd;
    if (view->writer != 0 && !damage->synced)
        return true;
    view->damaged++;
    snprintf(place, sizeof(place), " bytes %" PRIu32 " to %" PRIu32 "%s", damage->offset,
             damage->offset + damage->length - 1, damage->synced ? "" : " (tail)");
    if (view->verbose)
        journal_view_print(view, segment_name(damage->segment_seq, name), place,
                           describe_damage(damage, what, sizeof(what)));
    return true;
}

static void note_progress(void *ctx, size_t done, size_t total)
{
    const struct journal_view *view = ctx;
    if (view->verbose)
        ctl_progress("segments", done, total);
}

/* The directory of the request, otherwise that of the configuration; free() it. NULL: the error was printed. */
static char *directory_of(const struct journal_request *request)
{
    if (request->directory)
        return mem_strdup(request->directory);
    struct conf *conf = ctl_load(request->call.file);
    char *directory = conf ? mem_strdup(conf->journal.directory) : NULL;
    if (conf)
        ctl_use_zone(conf->timezone);
    conf_free(&conf);
    return directory;
}

void journal_view_close(struct journal_view *view)
{
    chain_free(&view->chain);
    if (view->dir_fd >= 0)
        close(view->dir_fd);
}

int journal_view_open(struct journal_view *view, const struct journal_request *request, bool verbose)
{
    uint8_t origin[16];
    struct err err;
    *view = (struct journal_view){.request = request, .dir_fd = -1, .verbose = verbose};
    char *directory = directory_of(request);
    if (!directory)
        return CTL_FAILED;
    view->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = view->dir_fd < 0 ? ctl_fail(VERB, "%s: %s", directory, strerror(errno)) : CTL_OK;
    if (status == CTL_OK) {
        view->writer = lock_holder(view->dir_fd);
        view->check = (struct chain_check){
            .live = view->writer != 0, .on_damage = note_damage, .on_progress = note_progress, .ctx = view};
        if (chain_load(&view->chain, view->dir_fd, lock_origin(view->dir_fd, origin) ? origin : NULL, &err) != 0 ||
            verify_chain(&view->check, &view->chain, view->dir_fd, &err) != 0)
            status = ctl_fail(VERB, "%s: %s", directory, err.text);
        else if (view->chain.n == 0 && view->chain.n_foreign == 0)
            status = ctl_fail(VERB, "%s: directory contains no journal", directory);
    }
    free(directory);
    return status;
}
