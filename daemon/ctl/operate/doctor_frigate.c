/* mobeyectl doctor: mobeye-frigate on this machine, by its file and its metrics. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "conf/conf_frigate.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/scrape.h"
#include "ctl/operate/doctor.h"
#include "ctl/operate/frigate_answer.h"
#include "frigate/delivery.h"

#define CHECK "frigate"

/* The value of a metric without labels; 0: there is none. */
static double metric(const struct scrape *scrape, const char *name)
{
    double value = scrape_plain(scrape, "mobeye_frigate", name);
    return isnan(value) ? 0 : value;
}

/* Whether one of the addresses of mobeyed is on this machine. */
static bool sends_to_this_machine(const struct conf_frigate *conf)
{
    struct address address;
    for (size_t i = 0; i < conf->n_to; i++)
        if (address_connect(conf->to[i], &address, NULL) == 0 &&
            (address_is_loopback(&address) || strcmp(address.host, "localhost") == 0))
            return true;
    return false;
}

static void say_mobeyed(struct doctor *d, const struct conf_frigate *conf, const struct scrape *scrape)
{
    double silent_s = metric(scrape, "mobeyed_silent_seconds"), waiting = metric(scrape, "waiting");
    bool connected = metric(scrape, "mobeyed_connected") > 0;
    if (connected && silent_s == 0)
        return;
    doctor_say(
        d, silent_s * CLOCK_SECOND >= DELIVERY_SILENT_US ? DOCTOR_PROBLEM : DOCTOR_WARNING, CHECK,
        d->daemon == 0 && sends_to_this_machine(conf)
            ? "mobeyed is not running here: systemctl start mobeyed"
            : "journalctl -u mobeye-frigate gives the reason; compare to:, server_key and the client list with the "
              "endpoint of mobeyed",
        "%s %s; %.0f alert%s wait%s", conf->name,
        connected ? "gets no answer from mobeyed" : "is not connected to mobeyed", waiting,
        ctl_plural((unsigned long)waiting), waiting == 1 ? "s" : "");
}

static void say_frigate(struct doctor *d, const struct conf_frigate *conf, const struct scrape *scrape)
{
    static const char advice[] = "journalctl -u mobeye-frigate gives the reason; see the log of Frigate too";
    double age_s;
    enum frigate_answer answer = frigate_answer_of(scrape, &age_s);
    if (answer == FRIGATE_SILENT)
        doctor_say(d, DOCTOR_WARNING, CHECK, advice, "Frigate %s does not answer at %s", conf->name, conf->api.url);
    else if (answer == FRIGATE_LATE)
        doctor_say(d, DOCTOR_WARNING, CHECK, advice, "Frigate %s has not answered at %s for %.0f s", conf->name,
                   conf->api.url, age_s);
    else if (answer == FRIGATE_OFFLINE)
        doctor_say(d, DOCTOR_WARNING, CHECK, advice, "Frigate %s reports by MQTT that it is offline", conf->name);
}

static void say_broker(struct doctor *d, const struct conf_frigate *conf, const struct scrape *scrape)
{
    if (!conf->mqtt.given)
        return;
    if (metric(scrape, "mqtt_contested") > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "find the other one, here or elsewhere, and stop it or change its name",
                   "another mobeye-frigate with name: %s takes its connection to the broker", conf->name);
    else if (metric(scrape, "mqtt_connected") == 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "journalctl -u mobeye-frigate gives the reason; until then events are up to a minute late",
                   "%s does not follow the broker %s:%u", conf->name, conf->mqtt.host, conf->mqtt.port);
    else if (metric(scrape, "mqtt_silent") > 0 || metric(scrape, "mqtt_differs") > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "compare the section mqtt of Frigate; until then events are up to a minute late",
                   "%s follows %s/ at %s:%u, and Frigate does not publish there", conf->name, conf->mqtt.topic_prefix,
                   conf->mqtt.host, conf->mqtt.port);
}

/* Details that the bridge's log lists one by one. */
static void say_mismatch(struct doctor *d, const struct conf_frigate *conf, double n, const char *one, const char *more)
{
    if (n > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "journalctl -u mobeye-frigate names them and what was probably meant; correct its configuration, "
                   "then systemctl restart mobeye-frigate",
                   "%.0f %s of %s", n, n == 1 ? one : more, conf->name);
}

static void say_images(struct doctor *d, const struct conf_frigate *conf, const struct scrape *scrape)
{
    double without = metric(scrape, "without_snapshots"), large = metric(scrape, "images_too_large_total"),
           missing = metric(scrape, "images_missing_total");
    if (without > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "set snapshots: enabled: true in Frigate",
                   "Frigate stores no snapshots of %.0f camera%s of %s", without, ctl_plural((unsigned long)without),
                   conf->name);
    else if (missing > 0 && metric(scrape, "images_total") == 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "does Frigate store snapshots of these cameras? The log names them",
                   "Frigate %s has had no image of any event", conf->name);
    if (large > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "set snapshots: height: 720 in Frigate",
                   "%.0f image%s of %s dropped: larger than 1,000,000 bytes", large, ctl_plural((unsigned long)large),
                   conf->name);
}

static void say_state(struct doctor *d, const struct conf_frigate *conf, const struct scrape *scrape)
{
    double age_s;
    unsigned found = d->printed[DOCTOR_WARNING] + d->printed[DOCTOR_PROBLEM];
    double waiting = metric(scrape, "waiting"), rejected = metric(scrape, "rejected");
    say_mobeyed(d, conf, scrape);
    say_frigate(d, conf, scrape);
    say_broker(d, conf, scrape);
    say_mismatch(d, conf, metric(scrape, "unknown_cameras"),
                 "camera that Frigate does not have is in the configuration",
                 "cameras that Frigate does not have are in the configuration");
    say_mismatch(d, conf, metric(scrape, "untracked_labels"), "label that no camera tracks is in the configuration",
                 "labels that no camera tracks are in the configuration");
    say_images(d, conf, scrape);
    if (rejected > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "add its devices and the source /frigate/NAME to the client list, then restart mobeye-frigate",
                   "mobeyed rejects %.0f event%s of %s", rejected, ctl_plural((unsigned long)rejected), conf->name);
    if (metric(scrape, "rejected_given_up_total") > 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "see the log of mobeye-frigate",
                   "%s lost %.0f rejected events (too many or too old to keep)", conf->name,
                   metric(scrape, "rejected_given_up_total"));
    frigate_answer_of(scrape, &age_s);
    if (d->printed[DOCTOR_WARNING] + d->printed[DOCTOR_PROBLEM] == found)
        doctor_say(d, DOCTOR_OK, CHECK, NULL,
                   "%s follows Frigate, which is asked every minute and answered %.0f s ago; %.0f alert%s wait%s",
                   conf->name, age_s, waiting, ctl_plural((unsigned long)waiting), waiting == 1 ? "s" : "");
}

static void examine_bridge(struct doctor *d, const struct conf_frigate *conf)
{
    struct err err;
    struct scrape scrape = {0};
    if (!conf->http_listen)
        doctor_say(d, DOCTOR_WARNING, CHECK, "set http.listen in its configuration",
                   "the state of %s is unknown (http.listen is not set)", conf->name);
    else if (scrape_fetch_of("mobeye_frigate", conf->http_listen, &scrape, &err) != 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "systemctl enable --now mobeye-frigate; journalctl -u mobeye-frigate",
                   "%s is not running: %s", conf->name, err.text);
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
