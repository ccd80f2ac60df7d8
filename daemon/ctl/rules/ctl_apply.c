/* mobeyectl apply: installs a new configuration. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "conf/load.h"
#include "ctl/lib/connect.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/rule_team.h"
#include "ctl/lib/scrape.h"
#include "ctl/rules/reload_unit.h"
#include "ctl/rules/replay.h"
#include "flow/check_external.h"

#define VERB "apply"

enum { FILE_MAX = 16 * 1024 * 1024 };

static const char help[] =
    "Usage: mobeyectl apply [OPTION]... FILE\n"
    "       mobeyectl apply [OPTION]... --undo\n"
    "Installs a new configuration, or restores the previous one.\n\n"
    "Checks FILE as the daemon would, shows which incidents its rules would have created in the last 7 days (see\n"
    "mobeyectl replay), asks for confirmation, replaces the configuration atomically, and makes the daemon reload it.\n"
    "The old file is kept as .previous next to it; --undo exchanges the two. If the replay fails, or the daemon\n"
    "refuses the file, nothing is changed.\n\n"
    "      --undo         restore the previous configuration\n"
    "      --no-replay    skip the replay, for example while the database is down\n"
    "      --yes          do not ask for confirmation\n"
    "      --unit NAME    systemd unit to reload (default: the one that uses the file to replace, otherwise\n"
    "                     mobeyed.service); none: do not reload\n"
    "  -c, --config FILE  configuration file to replace (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides that of the new file\n"
    "  -h, --help         print this help\n\n"
    "Examples:\n"
    "  # mobeyectl apply new.yaml\n"
    "  # mobeyectl apply --undo\n\n" CTL_EXIT_HELP;

struct apply_request {
    struct ctl_call call;
    const char *target, *unit, *file;
    bool undo, no_replay;
    char *previous;     /* target.previous */
    char *listen;       /* address of the daemon's metrics; NULL: unknown */
    struct buf left;    /* what a reload does not change, one per line */
    bool left_is_known; /* target could be read */
};

static char *with_suffix(const char *file, const char *suffix)
{
    struct buf path = {0};
    buf_printf(&path, "%s%s", file, suffix);
    return path.data;
}

static int replay_last_days(PGconn *conn, const struct conf *conf)
{
    struct err err;
    struct replay replay;
    struct buf text = {0};
    int rc = CTL_OK;
    if (replay_run(&replay, conn, conf, 7 * CLOCK_DAY, &err) == 0) {
        replay_summary(&replay, &text);
        fprintf(stderr, "the last 7 days: %.*s", (int)text.len, text.data);
    } else {
        rc = ctl_fail(VERB, "%s", err.text);
    }
    replay_free(&replay);
    buf_free(&text);
    return rc;
}

/* Shows the effect of the rules; without it they are only installed with --no-replay. */
static int show_replay(const struct apply_request *request, const struct conf *conf)
{
    if (request->no_replay)
        return CTL_OK;
    PGconn *conn = ctl_connect_to(VERB, conf, request->call.db);
    if (conn)
        rule_team_warn(VERB, conn, conf);
    int rc = conn ? replay_last_days(conn, conf) : CTL_FAILED;
    PQfinish(conn);
    if (rc != CTL_OK)
        ctl_fail(VERB, "nothing was changed: cannot show the effect of the rules (use --no-replay to skip this)");
    return rc;
}

static bool confirmed(const struct apply_request *request)
{
    return request->call.yes ||
           ctl_confirm(VERB, "%s %s?", request->undo ? "Restore the previous version of" : "Replace", request->target);
}

/* Gives the file the owner and mode of the one that it replaces. */
static void take_after(int fd, const char *model)
{
    struct stat st;
    if (stat(model, &st) != 0) {
        fchmod(fd, 0640);
        return;
    }
    fchmod(fd, st.st_mode & 07777);
    if (fchown(fd, st.st_uid, st.st_gid) != 0 && fchown(fd, (uid_t)-1, st.st_gid) != 0)
        fprintf(stderr, "mobeyectl " VERB ": %s: cannot keep its owner: %s\n", model, strerror(errno));
}

/* Replaces the file, or the one that the link points to, atomically. If only its directory cannot be synced, the file
 * is in place and a warning is printed. */
static int put_in_place(const struct apply_request *request, const struct buf *text, const char *place)
{
    char *linked = realpath(place, NULL);
    place = linked ? linked : place;
    char *beside = with_suffix(place, ".XXXXXX");
    int fd = mkostemp(beside, O_CLOEXEC);
    bool good = fd >= 0 && file_write(fd, buf_str(text)) == 0;
    if (good)
        take_after(fd, request->target);
    good = good && rename(beside, place) == 0;
    int rc = good ? CTL_OK : ctl_fail(VERB, "%s: %s", place, strerror(errno));
    if (good && file_sync_parent(AT_FDCWD, place) != 0)
        fprintf(stderr, "mobeyectl " VERB ": %s: installed, but a power failure may undo that: %s\n", place,
                strerror(errno));
    if (!good && fd >= 0)
        unlink(beside);
    if (fd >= 0)
        close(fd);
    free(beside);
    free(linked);
    return rc;
}

/* A file as it was before; exists is false if there was none. */
struct former_file {
    const char *path;
    bool exists;
    struct buf text;
};

static int read_former(const char *path, struct former_file *ret)
{
    *ret = (struct former_file){.path = path, .exists = access(path, F_OK) == 0};
    return ret->exists ? ctl_read(VERB, path, FILE_MAX, &ret->text) : CTL_OK;
}

static int put_back(const struct apply_request *request, const struct former_file *former)
{
    if (former->exists)
        return put_in_place(request, &former->text, former->path);
    if (unlink(former->path) == 0 || errno == ENOENT)
        return CTL_OK;
    return ctl_fail(VERB, "%s: %s", former->path, strerror(errno));
}

static void tell_restart(const struct apply_request *request)
{
    if (!request->left_is_known)
        fprintf(stderr, "the earlier file is not valid: cannot tell whether systemctl restart %s is required\n",
                request->unit);
    else if (request->left.len > 0)
        fprintf(stderr, "%.*ssystemctl restart %s is required\n", (int)request->left.len, request->left.data,
                request->unit);
}

/* Does not leave a file in place that the daemon refuses: it could not start with it. */
static int reload_or_put_back(const struct apply_request *request, const struct former_file *target,
                              const struct former_file *previous)
{
    enum reload_result result = reload_unit(request->unit, request->listen, false);
    if (result == RELOAD_APPLIED)
        fprintf(stderr, "%s reloaded\n", request->unit);
    if (result == RELOAD_APPLIED || result == RELOAD_UNSEEN)
        tell_restart(request);
    if (result == RELOAD_UNSEEN)
        return ctl_fail(VERB, "%s is installed; journalctl -u %s shows whether the daemon has refused it",
                        request->target, request->unit);
    if (result != RELOAD_REFUSED)
        return CTL_OK;
    int rc = put_back(request, target);
    if (put_back(request, previous) != CTL_OK || rc != CTL_OK)
        return ctl_fail(VERB, "%s refused the file, which is still installed", request->unit);
    if (reload_unit(request->unit, request->listen, true) == RELOAD_REFUSED)
        return ctl_fail(
            VERB,
            "%s refused the file, or took too long to apply it; %s is unchanged, but the daemon may be running "
            "with the new one (journalctl -u %s)",
            request->unit, request->target, request->unit);
    return ctl_fail(VERB, "%s refused the file; %s is unchanged (journalctl -u %s gives the reason)", request->unit,
                    request->target, request->unit);
}

/* Keeps the present file, if there is one, as .previous; not where the new one is the same, as after an edit in place.
 */
static int install_file(const struct apply_request *request, const struct buf *text)
{
    struct former_file target, previous = {0};
    int rc = read_former(request->target, &target);
    if (rc == CTL_OK)
        rc = read_former(request->previous, &previous);
    if (rc == CTL_OK && target.exists && !str_eq(buf_str(&target.text), buf_str(text)))
        rc = put_in_place(request, &target.text, request->previous);
    if (rc == CTL_OK && (rc = put_in_place(request, text, request->target)) != CTL_OK)
        put_back(request, &previous);
    else if (rc == CTL_OK)
        rc = reload_or_put_back(request, &target, &previous);
    buf_free(&target.text);
    buf_free(&previous.text);
    return rc;
}

/* Loads the file with everything that it refers to, as the daemon does, and prints warnings and errors. NULL: the
 * daemon would refuse it. */
static struct conf *load_as_daemon(const char *file)
{
    struct buf report = {0};
    struct conf *conf = conf_load_whole(file, NULL, check_external, &report);
    if (report.len > 0)
        fwrite(report.data, 1, report.len, stderr);
    buf_free(&report);
    return conf;
}

/* The http.listen at which the daemon answers; otherwise that of the installed file, or of the new one if the former is
 * not valid. NULL: none. */
static char *find_listen(const struct conf *running, const struct conf *conf)
{
    const char *old = running ? running->http_listen : NULL, *new = conf ? conf->http_listen : NULL;
    bool by_new = new && (!running || (isnan(scrape_applied_at(old, NULL)) && !isnan(scrape_applied_at(new, NULL))));
    return mem_strdup(by_new ? new : old);
}

/* What a reload does not change in the running daemon, such as its http.listen. */
static void compare(struct apply_request *request, const struct conf *conf)
{
    struct buf report = {0};
    struct conf *running = conf_load(request->target, &report);
    request->listen = find_listen(running, conf);
    request->left_is_known = running || access(request->target, F_OK) != 0;
    if (running && conf)
        conf_needs_restart(running, conf, &request->left);
    conf_free(&running);
    buf_free(&report);
}

static int apply_file(struct apply_request *request)
{
    struct buf text = {0};
    const char *from = request->undo ? request->previous : request->file;
    int rc = ctl_read(VERB, from, FILE_MAX, &text);
    struct conf *conf = rc == CTL_OK ? load_as_daemon(from) : NULL;
    if (!conf) {
        rc = CTL_FAILED;
    } else { /* it connects as the daemon of the target, with the variables of its unit */
        free(conf->file);
        conf->file = mem_strdup(request->target);
    }
    if (rc == CTL_OK)
        rc = show_replay(request, conf);
    compare(request, conf);
    if (rc == CTL_OK)
        rc = confirmed(request) ? install_file(request, &text) : CTL_FAILED;
    conf_free(&conf);
    free(request->listen);
    buf_free(&request->left);
    buf_free(&text);
    return rc;
}

static const struct ctl_verb verb = {VERB, .takes = "config db yes", .argument = "FILE", .most = 1, .help = help};

int ctl_apply(int argc, char **argv)
{
    char unit[CONNECT_UNIT_SIZE];
    struct apply_request request = {0};
    const struct ctl_option options[] = {{"undo", .flag = &request.undo},
                                         {"no-replay", .flag = &request.no_replay},
                                         {"unit", .text = &request.unit},
                                         {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    request.file = request.call.arguments[0];
    if ((request.file != NULL) == request.undo)
        return ctl_usage(VERB, "expected either one FILE or --undo");
    request.target = request.call.file ? request.call.file : CONF_DEFAULT_FILE;
    connect_unit_of(CONNECT_DAEMON_USER, request.target, unit);
    if (!request.unit)
        request.unit = unit;
    request.previous = with_suffix(request.target, ".previous");
    status = apply_file(&request);
    free(request.previous);
    return status;
}
