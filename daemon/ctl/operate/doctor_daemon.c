/* mobeyectl doctor: whether the daemon runs, as it says itself and as systemd says. */
#include <stdio.h>
#include <unistd.h>

#include "ctl/lib/connect.h"
#include "ctl/operate/doctor.h"
#include "ctl/operate/unit_state.h"

#define CHECK "daemon"

static void say_answering(struct doctor *d)
{
    struct buf why = {0};
    bool ready = scrape_ready(d->conf->http_listen, &why);
    if (!ready)
        doctor_say(d, DOCTOR_PROBLEM, CHECK,
                   doctor_advise(d, "journalctl -u %s -p warning shows what led to it", d->unit),
                   "it does not accept alerts: %.*s", (int)why.len, why.data);
    if (scrape_value(&d->metrics, "config_last_reload_successful", NULL) == 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, doctor_advise(d, "journalctl -u %s -p warning gives the reason", d->unit),
                   "it refused its last reload, and runs with the configuration that it had before");
    else if (d->other != 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "set a journal.directory of its own",
                   "it answers at %s, but process %d has the journal of the file open", d->conf->http_listen, d->other);
    else if (d->daemon == 0 && geteuid() == 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK,
                   doctor_advise(d, "a change of journal.directory requires systemctl restart %s", d->unit),
                   "it answers at %s, but does not have the journal of the file open", d->conf->http_listen);
    else if (ready)
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "it runs with the configuration that it loaded last");
    buf_free(&why);
}

/* The unit of the file does not run, and another program has what is the daemon's. */
static void say_taken(struct doctor *d)
{
    char by[64] = "another program";
    if (d->other != 0)
        snprintf(by, sizeof(by), "process %d", d->other);
    doctor_say(d, DOCTOR_PROBLEM, CHECK,
               doctor_advise(d,
                             "journalctl -u %s -n 20; each daemon needs a journal.directory, http.listen and endpoints "
                             "of its own",
                             d->unit),
               "the daemon is not running; %s %s %s", by, d->other != 0 ? "has its journal open:" : "answers at",
               d->other != 0 ? d->conf->journal.directory : d->conf->http_listen);
}

/* Neither the journal nor the address of the file says that a daemon runs. */
static void say_unit(struct doctor *d)
{
    char unit[CONNECT_UNIT_SIZE];
    bool is_its_file = connect_unit_of(CONNECT_DAEMON_USER, d->conf->file, unit);
    enum unit_state state = unit_state(unit);
    if (state == UNIT_DOWN && (d->other != 0 || d->other_answers))
        say_taken(d);
    else if (state == UNIT_DOWN)
        doctor_say(d, DOCTOR_PROBLEM, CHECK,
                   doctor_advise(d, "systemctl status %s; journalctl -u %s -n 20", d->unit, d->unit),
                   "the daemon is not running");
    else if (state == UNIT_RUNS && is_its_file && geteuid() == 0)
        doctor_say(
            d, DOCTOR_PROBLEM, CHECK,
            doctor_advise(d, "a change of http.listen or journal.directory requires systemctl restart %s", d->unit),
            "%s runs, but with neither the journal nor the http.listen of the file", unit);
    else
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "no daemon runs with this configuration");
}

void doctor_daemon(struct doctor *d)
{
    if (d->answers)
        say_answering(d);
    else if (d->daemon != 0 && d->conf->http_listen)
        doctor_say(d, DOCTOR_PROBLEM, CHECK,
                   doctor_advise(
                       d,
                       "journalctl -u %s -n 20 shows whether it starts, or cannot bind a port; a change of http.listen "
                       "requires systemctl restart %s",
                       d->unit, d->unit),
                   "process %d has the journal open, but does not answer at %s", d->daemon, d->conf->http_listen);
    else if (d->daemon != 0)
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "process %d has the journal open", d->daemon);
    else
        say_unit(d);
}
