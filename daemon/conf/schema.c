#include "conf/schema.h"

#include "conf/conf.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define MS     INT64_C(1000)
#define SECOND (1000 * MS)
#define DAY    (86400 * SECOND)
#define KIB    (INT64_C(1) << 10)
#define MIB    (INT64_C(1) << 20)
#define TIB    (INT64_C(1) << 40)

/* Where a key is kept, and the member beside it. */
#define IN(type, member)     .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define BESIDE(type, member) .beside = offsetof(type, member)
#define CONF(member)         IN(struct conf, member)
#define ENDPOINT(member)     IN(struct conf_endpoint, member)
#define CLIENT(member)       IN(struct conf_client, member)
#define RULE(member)         IN(struct conf_rule, member)
#define LIST(member, count, item)                                                                                      \
    .offset = offsetof(struct conf, member), BESIDE(struct conf, count), .item_size = sizeof(item)
#define MATCH(member)                    RULE(match.member)
#define MATCH_BESIDE(member, beside_one) MATCH(member), BESIDE(struct conf_rule, match.beside_one)

static const char *kind(unsigned i, unsigned *ret_value)
{
    *ret_value = i;
    return i < KIND_COUNT ? alert_kind_word((enum alert_kind)i) : NULL;
}

static const char *phase(unsigned i, unsigned *ret_value)
{
    *ret_value = i;
    return i < PHASE_COUNT ? alert_phase_word((enum alert_phase)i) : NULL;
}

static const char *socket_type(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {
        [CONF_ROUTER] = "router", [CONF_PULL] = "pull", [CONF_SUB] = "sub", [CONF_TCP] = "tcp"};
    *ret_value = i;
    return i < N(words) ? words[i] : NULL;
}

static const char *format(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {"cloudevents", "sia-dc09"};
    static const enum alert_format formats[] = {ALERT_CLOUDEVENTS, ALERT_SIA_DC09};
    if (i >= N(words))
        return NULL;
    *ret_value = formats[i];
    return words[i];
}

static const char *allow(unsigned i, unsigned *ret_value)
{
    *ret_value = true;
    return i == 0 ? "allow" : NULL;
}

static const char *category(unsigned i, unsigned *ret_value)
{
    *ret_value = i;
    return i < CATEGORY_COUNT ? incident_category_word((enum incident_category)i) : NULL;
}

static const char *grouping(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {"device", "kind", "input", "track", "endpoint"};
    static const enum conf_group_by bits[] = {GROUP_DEVICE, GROUP_KIND, GROUP_INPUT, GROUP_TRACK, GROUP_ENDPOINT};
    if (i >= N(words))
        return NULL;
    *ret_value = bits[i];
    return words[i];
}

static const char *action(unsigned i, unsigned *ret_value)
{
    *ret_value = 0;
    return i == 0 ? "store" : NULL;
}

/* A key takes two or three lines here, and ten where each member has its own. */
/* clang-format off */
static const struct schema_key keys[] = {
    {.path = "instance", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, CONF(instance),
     .about = "A label for this daemon, seen in the database and the log."},
    {.path = "timezone", .type = SCHEMA_ZONE, .fallback = "Europe/Amsterdam", CONF(timezone),
     .about = "The local time that the hours and days of rules are in."},
    {.path = "bounds", .type = SCHEMA_BOX, CONF(bounds), BESIDE(struct conf, has_bounds),
     .about = "The box outside which a location is implausible."},

    {.path = "database", .type = SCHEMA_SECTION, .about = "Where the alerts are stored."},
    {.path = "database.conninfo", .type = SCHEMA_CONNINFO, .required = true, CONF(database.conninfo),
     .about = "How to reach the database; several hosts are allowed, a password belongs in a passfile."},
    {.path = "database.batch_max", .type = SCHEMA_INT, .min = 1, .max = CONF_BATCH_MAX, .fallback = "5000", .unit = "alerts",
     CONF(database.batch_max),
     .about = "The most that one transaction stores."},
    {.path = "database.batch_wait", .type = SCHEMA_DURATION, .min = 0, .max = 10 * SECOND, .fallback = "20ms",
     CONF(database.batch_wait_us),
     .about = "How long an alert may wait for others to share its transaction."},

    {.path = "journal", .type = SCHEMA_SECTION, .about = "What every ACK stands on."},
    {.path = "journal.directory", .type = SCHEMA_PATH, .required = true, .restart = true, CONF(journal.directory),
     .about = "Where the segments are; one daemon has it to itself."},
    {.path = "journal.max_size", .type = SCHEMA_SIZE, .min = 256 * KIB, .max = 1024 * TIB, .fallback = "4GiB",
     CONF(journal.max_size_bytes),
     .about = "The most that all segments take; full of alerts not yet in the database, senders get RETRY; one of "
              "several listed clients does at half of it."},
    {.path = "journal.keep", .type = SCHEMA_DURATION, .min = 0, .max = 3650 * DAY, .fallback = "24h",
     CONF(journal.keep_us),
     .about = "How long segments stay once they are in the database, as far as max_size allows."},

    {.path = "endpoints", .type = SCHEMA_LIST, .min = 1, .max = 256, .required = true,
     LIST(endpoints, n_endpoints, struct conf_endpoint),
     .about = "Where alerts come in."},
    {.path = "endpoints[].name", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, ENDPOINT(name),
     .about = "Its name in the log, the metrics, the database and the rules, each once."},
    {.path = "endpoints[].bind", .type = SCHEMA_BIND, ENDPOINT(address), BESIDE(struct conf_endpoint, bind),
     .about = "The address it waits at; either this or connect."},
    {.path = "endpoints[].connect", .type = SCHEMA_CONNECT, ENDPOINT(address),
     .about = "The address it goes to; either this or bind."},
    {.path = "endpoints[].socket", .type = SCHEMA_WORD, .word = socket_type, .required = true, ENDPOINT(socket),
     .about = "How it speaks: router answers ACK, REJECT or RETRY, pull and sub nothing; tcp is raw TCP, not ZeroMQ."},
    {.path = "endpoints[].format", .type = SCHEMA_WORD, .word = format, .required = true, ENDPOINT(format),
     .about = "What an alert looks like there; tcp speaks sia-dc09 alone."},
    {.path = "endpoints[].topics", .type = SCHEMA_TEXTS, .min = 1, .max = 255,
     ENDPOINT(topics), BESIDE(struct conf_endpoint, n_topics),
     .about = "Of a sub: the beginnings of the topics it wants; without it all."},
    {.path = "endpoints[].plaintext", .type = SCHEMA_WORD, .word = allow, ENDPOINT(plaintext_allow),
     .about = "Without CURVE, whatever security says; needed to bind tcp:// beyond loopback where there is none."},
    {.path = "endpoints[].server_key", .type = SCHEMA_KEY, ENDPOINT(server_key),
     .about = "Of connect with CURVE: the key of who is there; what it may report for stands in the list of clients."},
    {.path = "endpoints[].allow_from", .type = SCHEMA_NETWORKS, ENDPOINT(allow_from),
     BESIDE(struct conf_endpoint, n_allow_from),
     .about = "Of tcp://: the addresses that may connect; without it all."},
    {.path = "endpoints[].connections", .type = SCHEMA_INT, .min = 1, .max = CONF_CONNECTIONS_MAX, .fallback = "1024",
     .unit = "connections", ENDPOINT(connections),
     .about = "Of tcp: the most at once; one more takes the place of the one that brought no frame for longest."},
    {.path = "endpoints[].idle", .type = SCHEMA_DURATION, .min = SECOND, .max = 7 * DAY, .fallback = "10m",
     ENDPOINT(idle_us),
     .about = "Of tcp: a connection that brings no frame for so long is closed."},
    {.path = "endpoints[].check_time", .type = SCHEMA_BOOL, .fallback = "false", ENDPOINT(check_time),
     .about = "Of sia-dc09: a frame whose time is over 40 s late or 20 s early is answered NAK, once."},
    {.path = "endpoints[].require_encryption", .type = SCHEMA_BOOL, .fallback = "false", ENDPOINT(require_encryption),
     .about = "Of sia-dc09: a frame that is not encrypted is answered DUH."},
    {.path = "endpoints[].dc09_keys", .type = SCHEMA_SECRET, ENDPOINT(dc09_keys),
     .about = "Of sia-dc09: the file of keys, a line ACCOUNT HEXKEY each, which only its owner may read."},
    {.path = "endpoints[].expect_every", .type = SCHEMA_DURATION, .min = SECOND, .max = 3650 * DAY,
     ENDPOINT(expect_every_us),
     .about = "It counts as silent, in the log and the metrics, when nothing came for so long."},

    {.path = "security", .type = SCHEMA_SECTION,
     .about = "With it ZeroMQ speaks CURVE on tcp://, and only listed clients may send; without it anybody may."},
    {.path = "security.server_key", .type = SCHEMA_SECRET, CONF(security.server_key),
     .about = "The file of the daemon's secret key, as mobeyectl keygen writes it, which only its owner may read."},
    {.path = "security.clients", .type = SCHEMA_PATH, CONF(security.clients),
     .about = "The file that lists who may send, and for which devices."},

    {.path = "http", .type = SCHEMA_SECTION, .about = "For scrapers and probes."},
    {.path = "http.listen", .type = SCHEMA_LISTEN, .restart = true, CONF(http_listen),
     .about = "Where /metrics, /healthz and /readyz are served; without it they are not."},

    {.path = "retention", .type = SCHEMA_SECTION, .about = "How long what is stored is kept, from when it occurred."},
    {.path = "retention.camera", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "28d",
     CONF(retention.class_us[CLASS_CAMERA]),
     .about = "Alerts of kind camera: a day of them goes when its start is so old, so none is kept longer."},
    {.path = "retention.alarm", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "365d",
     CONF(retention.class_us[CLASS_ALARM]),
     .about = "Alerts of all kinds that are neither camera nor service."},
    {.path = "retention.service", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "90d",
     CONF(retention.class_us[CLASS_SERVICE]),
     .about = "Alerts of the kinds power, battery, comms, keepalive, arm and bypass."},
    {.path = "retention.incident", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "1825d",
     CONF(retention.incident_us),
     .about = "Incidents and their history, mutes, and at least so long placements that are over."},

    {.path = "rules", .type = SCHEMA_LIST, .min = 0, .max = 1024, LIST(rules, n_rules, struct conf_rule),
     .about = "What is done with an alert: the first rule that matches decides, and without one it is stored."},
    {.path = "rules[].name", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, RULE(name),
     .about = "Its name in the log and the database, each once."},
    {.path = "rules[].match", .type = SCHEMA_SECTION,
     .about = "What must hold, all of it, for the rule to match; without it every alert does."},
    {.path = "rules[].match.kind", .type = SCHEMA_WORDS, .word = kind, MATCH(kinds),
     .about = "Kinds of alert; unknown is any word of a sender that is none of the others."},
    {.path = "rules[].match.phase", .type = SCHEMA_WORDS, .word = phase, MATCH(phases), .about = "Whether it begins, ends or goes on."},
    {.path = "rules[].match.device", .type = SCHEMA_GLOBS, .min = 1, .max = 256, MATCH_BESIDE(devices, n_devices),
     .about = "Devices, by their ids."},
    {.path = "rules[].match.group", .type = SCHEMA_TEXTS, .min = 1, .max = 64, MATCH_BESIDE(groups, n_groups),
     .about = "Groups of devices, as the registry has them."},
    {.path = "rules[].match.registered", .type = SCHEMA_BOOL, MATCH(registered),
     .about = "Whether the registry knows the device."},
    {.path = "rules[].match.located", .type = SCHEMA_BOOL, MATCH(located), .about = "Whether a place is known."},
    {.path = "rules[].match.area", .type = SCHEMA_SECTION, .optional = true,
     .about = "The place is in an area; an alert without a place does not match."},
    {.path = "rules[].match.area.layer", .type = SCHEMA_LAYER, .required = true, MATCH(area_layer),
     .about = "In an area of this layer."},
    {.path = "rules[].match.area.code", .type = SCHEMA_TEXTS, .min = 1, .max = 64, MATCH_BESIDE(area_codes, n_area_codes),
     .about = "And in one of these; without it in any of the layer."},
    {.path = "rules[].match.hours", .type = SCHEMA_HOURS, MATCH_BESIDE(hours, has_hours),
     .about = "Local time of occurrence, the end excluded; over midnight it belongs to the day it starts."},
    {.path = "rules[].match.days", .type = SCHEMA_DAYS, MATCH(days), .about = "Local days of occurrence; hours over midnight belong to the day they start."},
    {.path = "rules[].match.score", .type = SCHEMA_SECTION,
     .about = "The score that a camera gave; an alert without one does not match."},
    {.path = "rules[].match.score.min", .type = SCHEMA_NUMBER, .min = 0, .max = 1, MATCH(score_min),
     .about = "The score is this or higher."},
    {.path = "rules[].match.score.below", .type = SCHEMA_NUMBER, .min = 0, .max = 1, MATCH(score_below),
     .about = "The score is lower than this."},
    {.path = "rules[].match.label", .type = SCHEMA_TEXTS, .min = 1, .max = 255, MATCH_BESIDE(labels, n_labels),
     .about = "What a camera saw."},
    {.path = "rules[].match.camera_zone", .type = SCHEMA_TEXTS, .min = 1, .max = 255,
     MATCH_BESIDE(camera_zones, n_camera_zones),
     .about = "In which of its zones a camera saw it."},
    {.path = "rules[].match.drill", .type = SCHEMA_BOOL, MATCH(drill), .about = "Whether it is an exercise."},
    {.path = "rules[].match.endpoint", .type = SCHEMA_TEXTS, .min = 1, .max = 64, MATCH_BESIDE(endpoints, n_endpoints),
     .about = "Endpoints that it came in at, by their names."},
    {.path = "rules[].action", .type = SCHEMA_WORD, .word = action,
     .about = "The alert is stored, nothing more; either this or incident."},
    {.path = "rules[].incident", .type = SCHEMA_SECTION, .optional = true, RULE(makes_incident),
     .about = "The alert joins an incident or makes one; either this or action."},
    {.path = "rules[].incident.category", .type = SCHEMA_WORD, .word = category, .required = true, RULE(terms.category),
     .about = "Who is meant: alarm a patrol, service those who keep the devices."},
    {.path = "rules[].incident.priority", .type = SCHEMA_INT, .min = PRIORITY_HIGHEST, .max = PRIORITY_LOWEST,
     .required = true, RULE(terms.priority),
     .about = "How urgent it is; 1 is the highest."},
    {.path = "rules[].incident.group_by", .type = SCHEMA_GROUPING, .word = grouping, .required = true, RULE(group_by),
     .about = "Alerts that differ in one of these are different incidents."},
    {.path = "rules[].incident.gap", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, .required = true,
     RULE(terms.gap_us),
     .about = "A longer silence starts a new incident."},
    {.path = "rules[].incident.max_age", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, RULE(terms.max_age_us),
     .about = "An older incident takes no more alerts."},
    {.path = "rules[].incident.moved_over", .type = SCHEMA_DISTANCE, .min = 1, .max = 1000000, RULE(terms.moved_over_m),
     .about = "A device that moved further starts a new one."},
    {.path = "rules[].incident.settle", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, RULE(terms.settle_us),
     .about = "Raises this soon after a person closed it count on the closed one; never panic and holdup."},
    {.path = "rules[].incident.team", .type = SCHEMA_TEXT, .min = 1, .max = 64, RULE(team),
     .about = "Whose it is; without it the placement's team, else the area's."},
    {.path = "rules[].incident.verify_by", .type = SCHEMA_SECTION, .optional = true,
     .about = "What verifies an alarm: a second device near it, or a second input of the same one."},
    {.path = "rules[].incident.verify_by.within", .type = SCHEMA_DURATION, .min = MS, .max = 7 * DAY, .required = true,
     RULE(terms.verify_within_us),
     .about = "They occur no further apart."},
    {.path = "rules[].incident.verify_by.radius", .type = SCHEMA_DISTANCE, .min = 1, .max = 100000, .required = true,
     RULE(terms.verify_radius_m),
     .about = "The devices are no further apart."},
    {.path = "rules[].incident.verify_by.priority", .type = SCHEMA_INT, .min = PRIORITY_HIGHEST, .max = PRIORITY_LOWEST,
     RULE(terms.verify_priority),
     .about = "The priority that it then gets; without it that stays as it is."},
    {.path = "rules[].incident.overdue", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, RULE(terms.overdue_us),
     .about = "Unacknowledged for so long, it is marked and announced again."},

    {.path = SCHEMA_CLIENTS ".clients", .type = SCHEMA_LIST, .min = 0, .max = 4096, .required = true,
     LIST(clients, n_clients, struct conf_client),
     .about = "Who may send; anybody else is not let in."},
    {.path = SCHEMA_CLIENTS ".clients[].name", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, CLIENT(name),
     .about = "Its name in the log and in replies, each once."},
    {.path = SCHEMA_CLIENTS ".clients[].key", .type = SCHEMA_KEY, .required = true, CLIENT(key),
     .about = "Its public key, each once."},
    {.path = SCHEMA_CLIENTS ".clients[].devices", .type = SCHEMA_GLOBS, .min = 1, .max = 256, .required = true,
     CLIENT(devices), BESIDE(struct conf_client, n_devices),
     .about = "The devices that it may report for; in sia-dc09 they are called dc09:ACCOUNT or dc09:ACCOUNT/INPUT."},
    {.path = SCHEMA_CLIENTS ".clients[].sources", .type = SCHEMA_TEXTS, .min = 1, .max = 256, .fallback = "*",
     CLIENT(sources), BESIDE(struct conf_client, n_sources),
     .about = "The sources that it may use in cloudevents, with * ? [...] for what varies."},
    {.path = SCHEMA_CLIENTS ".clients[].until", .type = SCHEMA_DATE, CLIENT(until),
     .about = "The last day on which it may, in local time; without it there is none."},
};
/* clang-format on */

const struct schema_key *schema_key(size_t i)
{
    return i < N(keys) ? &keys[i] : NULL;
}
