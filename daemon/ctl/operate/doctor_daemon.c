/* mobeyectl doctor: whether the daemon runs, as it says itself and as systemd says. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/operate/doctor.h"

#define CHECK "daemon"

/* The unit is meant to run, and does not: it is enabled, or systemd starts it again and again. */
static bool unit_is_down(void)
{
    char line[128];
    bool enabled = false, active = false, inactive = true;
    FILE *pipe = popen("systemctl show mobeyed.service -p UnitFileState -p ActiveState 2> /dev/null", "re");
    while (pipe && fgets(line, sizeof(line), pipe)) {
        enabled |= strcmp(line, "UnitFileState=enabled\n") == 0;
        active |= strcmp(line, "ActiveState=active\n") == 0;
        inactive &= strncmp(line, "ActiveState=", 12) != 0 || strcmp(line, "ActiveState=inactive\n") == 0;
    }
    if (!pipe || pclose(pipe) != 0)
        return false;
    return !active && (enabled || !inactive);
}

static void say_answering(struct doctor *d)
{
    if (scrape_value(&d->metrics, "config_last_reload_successful", NULL) == 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "journalctl -u mobeyed -p warning gives the reason",
                   "it refused its last reload, and runs with the configuration that it had before");
    else if (d->daemon == 0 && geteuid() == 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "a change of journal.directory requires systemctl restart mobeyed",
                   "it answers at %s, but does not have the journal of the file open", d->conf->http_listen);
    else
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "it runs with the configuration that it loaded last");
}

void doctor_daemon(struct doctor *d)
{
    if (d->answers)
        say_answering(d);
    else if (d->daemon != 0 && d->conf->http_listen)
        doctor_say(
            d, DOCTOR_PROBLEM, CHECK,
            "journalctl -u mobeyed -n 20 shows whether it starts, or cannot bind a port; a change of http.listen "
            "requires systemctl restart mobeyed",
            "process %d has the journal open, but does not answer at %s", d->daemon, d->conf->http_listen);
    else if (d->daemon != 0)
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "process %d has the journal open", d->daemon);
    else if (unit_is_down())
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "systemctl status mobeyed; journalctl -u mobeyed -n 20",
                   "the daemon is not running");
    else
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "no daemon runs with this configuration");
}
