/* mobeyectl setup: starts or reloads the daemon. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/load.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/scrape.h"
#include "ctl/lib/unit.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_sample.h"

enum { PATIENCE_S = 15 };

double setup_changed_at(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 ? (double)st.st_ctim.tv_sec + (double)st.st_ctim.tv_nsec / 1e9 : 0;
}

static bool answers(const struct conf *conf)
{
    return !isnan(scrape_applied_at(conf->http_listen, NULL));
}

static bool is_up_to_date(const struct setup *s, const struct conf *conf)
{
    double taken_up = scrape_applied_at(conf->http_listen, NULL);
    return taken_up > setup_changed_at(s->daemon.file) && taken_up > setup_changed_at(conf->security.clients) &&
           taken_up > setup_changed_at(conf->security.server_key);
}

/* A reload is a signal and gives no reply, so this polls. false: timed out. */
static bool wait_up_to_date(const struct setup *s, const struct conf *conf)
{
    int64_t until = clock_mono_us() + PATIENCE_S * CLOCK_SECOND;
    bool done;
    while (!(done = is_up_to_date(s, conf)) && clock_mono_us() < until)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return done;
}

static int call_systemctl(struct setup *s, const char *what, const char *unit)
{
    const char *const words[] = {"systemctl", what, unit, NULL};
    if (!s->dry_run && ctl_systemctl(words) != 0)
        return ctl_fail(SETUP_VERB, "systemctl %s %s failed (see journalctl -u %s)", what, unit, unit);
    setup_did(s, "systemctl %s %s", what, unit);
    return CTL_OK;
}

static bool is_active(const char *unit)
{
    const char *const words[] = {"systemctl", "is-active", "--quiet", unit, NULL};
    return ctl_systemctl(words) == 0;
}

/* The file, or what setup will make of the sample. NULL: it has errors, which the part that writes it prints. */
static struct conf *load_or_sample(const struct setup *s)
{
    struct buf report = {0};
    bool there = access(s->daemon.file, F_OK) == 0;
    struct conf *conf = there ? conf_load(s->daemon.file, &report)
                              : conf_parse(s->daemon.file, setup_sample, setup_sample_len, &report);
    buf_free(&report);
    return conf;
}

static int check_free(const struct setup *s, const struct conf *conf, const char *unit)
{
    static const char *const advice = "each daemon needs a journal.directory, http.listen and endpoints of its own, so "
                                      "write the file first";
    pid_t daemon = 0;
    struct err err;
    char *own = ctl_unit_property(unit, "MainPID");
    int status = CTL_OK;
    if (ctl_daemon(conf, &daemon, &err) == 0 && daemon != 0 && !(own && atoi(own) == daemon))
        status = ctl_fail(SETUP_VERB, "%s: process %d has %s open, and is not %s (%s)", s->daemon.file, daemon,
                          conf->journal.directory, unit, advice);
    else if (daemon == 0 && answers(conf))
        status = ctl_fail(SETUP_VERB, "%s: a daemon answers at %s, and is not %s (%s)", s->daemon.file,
                          conf->http_listen, unit, advice);
    free(own);
    return status;
}

int setup_check_instance(const struct setup *s)
{
    char unit[CONNECT_UNIT_SIZE];
    if (access("/run/systemd/system", F_OK) != 0 || geteuid() != 0 ||
        !connect_unit_of(CONNECT_DAEMON_USER, s->daemon.file, unit) || is_active(unit))
        return CTL_OK;
    struct conf *conf = load_or_sample(s);
    int status = conf ? check_free(s, conf, unit) : CTL_OK;
    conf_free(&conf);
    return status;
}

/* What a reload does not change. */
static int fail_restart(const char *unit, const char *key)
{
    return ctl_fail(SETUP_VERB, "%s runs with another %s than that of the file: this requires systemctl restart %s",
                    unit, key, unit);
}

static int bring_up_to_date(struct setup *s, const struct conf *conf, const char *unit)
{
    int status = CTL_OK;
    pid_t daemon;
    struct err err;
    if (is_up_to_date(s, conf))
        setup_is(s, "%s uses the present files", unit);
    else
        status = call_systemctl(s, "reload", unit);
    if (status != CTL_OK)
        return status;
    bool applied = !conf->http_listen || (s->dry_run ? answers(conf) : wait_up_to_date(s, conf));
    if (!applied && !answers(conf))
        return fail_restart(unit, "http.listen");
    if (!applied)
        return ctl_fail(SETUP_VERB, "%s has not applied the files (see journalctl -u %s)", unit, unit);
    if (ctl_daemon(conf, &daemon, &err) != 0)
        return ctl_fail(SETUP_VERB, "cannot tell whether %s uses journal.directory: %s", unit, err.text);
    return daemon == 0 ? fail_restart(unit, "journal.directory") : CTL_OK;
}

static int start_or_reload(struct setup *s, const char *unit)
{
    if (s->dry_run && s->changes > 0) /* the file may not exist yet */
        return call_systemctl(s, is_active(unit) ? "reload" : "restart", unit);
    struct conf *conf = ctl_load(s->daemon.file);
    int status = CTL_FAILED;
    if (conf)
        status = is_active(unit) ? bring_up_to_date(s, conf, unit) : call_systemctl(s, "restart", unit);
    conf_free(&conf);
    return status;
}

int setup_daemon(struct setup *s)
{
    char unit[CONNECT_UNIT_SIZE];
    if (access("/run/systemd/system", F_OK) != 0 || geteuid() != 0)
        return CTL_OK;
    if (!connect_unit_of(CONNECT_DAEMON_USER, s->daemon.file, unit)) {
        setup_left(s, "start or reload the daemon that uses %s: no unit uses this file", s->daemon.file);
        return CTL_OK;
    }
    int status = start_or_reload(s, unit);
    char *state = ctl_unit_property(unit, "UnitFileState");
    if (state && strcmp(state, "disabled") == 0)
        setup_left(s, "systemctl enable %s, so that it starts with the machine", unit);
    free(state);
    return status;
}
