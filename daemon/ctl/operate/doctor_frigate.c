/* mobeyectl doctor: mobeye-frigate on this machine, by its file and its metrics. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_frigate.h"
#include "ctl/lib/scrape.h"
#include "ctl/operate/doctor.h"

#define CHECK "frigate"

/* The value of a metric without labels; 0: there is none. */
static double metric(const struct scrape *scrape, const char *name)
{
    char whole[128];
    snprintf(whole, sizeof(whole), "mobeye_frigate_%s", name);
    double value = scrape_plain(scrape, whole);
    return isnan(value) ? 0 : value;
}

static void say_state(struct doctor *d, const struct conf_frigate *conf, const struct scrape *scrape)
{
    unsigned warnings = d->printed[DOCTOR_WARNING];
    if (metric(scrape, "mobeyed_connected") == 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "compare to:, server_key and the client list with the endpoint of mobeyed",
                   "%s is not connected to mobeyed; %.0f alerts wait", conf->name, metric(scrape, "waiting"));
    if (metric(scrape, "frigate_online") == 0 || metric(scrape, "http_last_success_timestamp_seconds") == 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "see journalctl -u mobeye-frigate and the log of Frigate",
                   "Frigate %s does not answer at %s", conf->name, conf->api.url);
    if (conf->mqtt.given && metric(scrape, "mqtt_connected") == 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "see journalctl -u mobeye-frigate; until then events are up to a minute late",
                   "%s does not follow the broker %s:%u", conf->name, conf->mqtt.host, conf->mqtt.port);
    if (metric(scrape, "rejected") > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "add its devices and the source /frigate/NAME to the client list, then restart mobeye-frigate",
                   "mobeyed rejects %.0f events of %s", metric(scrape, "rejected"), conf->name);
    if (metric(scrape, "rejected_given_up_total") > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "see the log of mobeye-frigate",
                   "%.0f rejected events of %s are lost: too many or too old",
                   metric(scrape, "rejected_given_up_total"), conf->name);
    if (d->printed[DOCTOR_WARNING] == warnings)
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "%s follows Frigate; %.0f alerts wait", conf->name,
                   metric(scrape, "waiting"));
}

static void examine_bridge(struct doctor *d, const struct conf_frigate *conf)
{
    struct err err;
    struct scrape scrape = {0};
    if (!conf->http_listen)
        doctor_say(d, DOCTOR_WARNING, CHECK, "set http.listen in its configuration",
                   "the state of %s is unknown (http.listen is not set)", conf->name);
    else if (scrape_fetch_of("mobeye_frigate", conf->http_listen, &scrape, &err) != 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "systemctl status mobeye-frigate", "%s is not running: %s", conf->name,
                   err.text);
    else
        say_state(d, conf, &scrape);
    buf_free(&scrape.text);
}

void doctor_frigate(struct doctor *d)
{
    struct buf report = {0};
    if (access(d->frigate_file, R_OK) != 0) {
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "not %s: %s: %s", errno == ENOENT ? "installed" : "checked",
                   d->frigate_file, strerror(errno));
        return;
    }
    struct conf_frigate *conf = conf_frigate_load(d->frigate_file, &report);
    if (conf)
        examine_bridge(d, conf);
    else
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "run mobeye-frigate --check", "%s is not a valid configuration",
                   d->frigate_file);
    conf_frigate_free(&conf);
    buf_free(&report);
}
