#include "conf/schema.h"

#include "base/array.h"
#include "conf/conf.h"

#define MS     INT64_C(1000)
#define SECOND (1000 * MS)
#define DAY    (86400 * SECOND)
#define KIB    (INT64_C(1) << 10)
#define MIB    (INT64_C(1) << 20)
#define TIB    (INT64_C(1) << 40)

/* The member that holds the value, and the second member. */
#define IN(type, member)   .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define WITH(type, member) .second = offsetof(type, member)
#define CONF(member)       IN(struct conf, member)
#define ENDPOINT(member)   IN(struct conf_endpoint, member)
#define CLIENT(member)     IN(struct conf_client, member)
#define RULE(member)       IN(struct conf_rule, member)
#define LIST(member, count, item)                                                                                      \
    .offset = offsetof(struct conf, member), WITH(struct conf, count), .item_size = sizeof(item)
#define MATCH(member)                     RULE(match.member)
#define MATCH_WITH(member, second_member) MATCH(member), WITH(struct conf_rule, match.second_member)

static const char *kind_word(unsigned i, unsigned *ret_value)
{
    *ret_value = i;
    return i < KIND_COUNT ? alert_kind_word((enum alert_kind)i) : NULL;
}

static const char *phase_word(unsigned i, unsigned *ret_value)
{
    *ret_value = i;
    return i < PHASE_COUNT ? alert_phase_word((enum alert_phase)i) : NULL;
}

static const char *socket_word(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {
        [CONF_ROUTER] = "router", [CONF_PULL] = "pull", [CONF_SUB] = "sub", [CONF_TCP] = "tcp"};
    *ret_value = i;
    return i < ARRAY_LEN(words) ? words[i] : NULL;
}

static const char *format_word(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {"cloudevents", "sia-dc09"};
    static const enum alert_format formats[] = {ALERT_CLOUDEVENTS, ALERT_SIA_DC09};
    if (i >= ARRAY_LEN(words))
        return NULL;
    *ret_value = formats[i];
    return words[i];
}

static const char *allow_word(unsigned i, unsigned *ret_value)
{
    *ret_value = true;
    return i == 0 ? "allow" : NULL;
}

static const char *category_word(unsigned i, unsigned *ret_value)
{
    *ret_value = i;
    return i < CATEGORY_COUNT ? incident_category_word((enum incident_category)i) : NULL;
}

static const char *grouping_word(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {"device", "kind", "input", "track", "endpoint"};
    static const enum conf_group_by bits[] = {GROUP_DEVICE, GROUP_KIND, GROUP_INPUT, GROUP_TRACK, GROUP_ENDPOINT};
    if (i >= ARRAY_LEN(words))
        return NULL;
    *ret_value = bits[i];
    return words[i];
}

static const char *action_word(unsigned i, unsigned *ret_value)
{
    *ret_value = 0;
    return i == 0 ? "store" : NULL;
}

/* Two or three lines per key instead of ten. */
/* clang-format off */
static const struct schema_key keys[] = {
    {.path = "instance", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, CONF(instance),
     .about = "A label for this daemon, shown in the database and the log."},
    {.path = "timezone", .type = SCHEMA_ZONE, .fallback = "Europe/Amsterdam", CONF(timezone),
     .about = "The local time zone, which the hours and days of rules refer to."},
    {.path = "bounds", .type = SCHEMA_BOX, CONF(bounds), WITH(struct conf, has_bounds),
     .about = "A location outside this box is considered implausible."},

    {.path = "database", .type = SCHEMA_SECTION, .about = "The database in which alerts are stored."},
    {.path = "database.conninfo", .type = SCHEMA_CONNINFO, .required = true, CONF(database.conninfo),
     .about = "How to connect to the database. Several hosts are allowed; keep a password in a passfile."},
    {.path = "database.batch_max", .type = SCHEMA_INT, .min = 1, .max = CONF_BATCH_MAX, .fallback = "20000", .unit = "alerts",
     CONF(database.batch_max),
     .about = "The maximum number of alerts stored in one transaction."},
    {.path = "database.batch_wait", .type = SCHEMA_DURATION, .min = 0, .max = 10 * SECOND, .fallback = "20ms",
     CONF(database.batch_wait_us),
     .about = "How long an alert may wait for others to share its transaction."},

    {.path = "journal", .type = SCHEMA_SECTION,
     .about = "The write-ahead journal: an alert is acknowledged only after it has been synced there."},
    {.path = "journal.directory", .type = SCHEMA_PATH, .required = true, .restart = true, CONF(journal.directory),
     .about = "The directory of the segments. Only one daemon can use it. Outside /var/lib/mobeyed the unit needs ReadWritePaths= and RequiresMountsFor= (see the administrator's guide)."},
    {.path = "journal.max_size", .type = SCHEMA_SIZE, .min = 256 * KIB, .max = 1024 * TIB, .fallback = "4GiB",
     CONF(journal.max_size_bytes),
     .about = "The maximum size of all segments. When the journal is full of alerts not yet in the database, "
              "senders get RETRY; "
              "with several listed clients, one gets RETRY once it has filled half of it. "
              "Images larger than an eighth of it are dropped."},
    {.path = "journal.keep", .type = SCHEMA_DURATION, .min = 0, .max = 3650 * DAY, .fallback = "24h",
     CONF(journal.keep_us),
     .about = "How long segments are kept after they have been stored in the database, within max_size."},

    {.path = "endpoints", .type = SCHEMA_LIST, .min = 1, .max = 256, .required = true,
     LIST(endpoints, n_endpoints, struct conf_endpoint),
     .about = "The sockets on which alerts are received."},
    {.path = "endpoints[].name", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, ENDPOINT(name),
     .about = "A unique name, used in the log, the metrics, the database and the rules."},
    {.path = "endpoints[].bind", .type = SCHEMA_BIND, ENDPOINT(address), WITH(struct conf_endpoint, bind),
     .about = "The address to listen on. Either bind or connect."},
    {.path = "endpoints[].connect", .type = SCHEMA_CONNECT, ENDPOINT(address),
     .about = "The address to connect to. Either bind or connect."},
    {.path = "endpoints[].socket", .type = SCHEMA_WORD, .word = socket_word, .required = true, ENDPOINT(socket),
     .about = "The socket type: router replies ACK, REJECT or RETRY; pull and sub do not reply; tcp is raw TCP, not "
              "ZeroMQ."},
    {.path = "endpoints[].format", .type = SCHEMA_WORD, .word = format_word, .required = true, ENDPOINT(format),
     .about = "The format of the alerts. tcp supports sia-dc09 only."},
    {.path = "endpoints[].topics", .type = SCHEMA_TEXTS, .min = 1, .max = 255,
     ENDPOINT(topics), WITH(struct conf_endpoint, n_topics),
     .about = "Topic prefixes to subscribe to (sub only). Default: all."},
    {.path = "endpoints[].plaintext", .type = SCHEMA_WORD, .word = allow_word, ENDPOINT(plaintext_allow),
     .about = "Do not use CURVE, even if security is set. Required to bind tcp:// to a non-loopback address without "
              "CURVE."},
    {.path = "endpoints[].server_key", .type = SCHEMA_KEY, ENDPOINT(server_key),
     .about = "The public key of the server (connect with CURVE only). The client list must contain it too, with "
              "the devices it may report for."},
    {.path = "endpoints[].secret_key", .type = SCHEMA_SECRET, ENDPOINT(secret_key),
     .about = "The file of a secret key for this endpoint alone (CURVE only): while the daemon's key is rotated, the old and "
              "the new one are in use at the same time. Default: security.server_key."},
    {.path = "endpoints[].allow_from", .type = SCHEMA_NETWORKS, ENDPOINT(allow_from),
     WITH(struct conf_endpoint, n_allow_from),
     .about = "Addresses from which peers may connect (tcp:// only). Default: all."},
    {.path = "endpoints[].connections", .type = SCHEMA_INT, .min = 1, .max = CONF_CONNECTIONS_MAX, .fallback = "1024",
     .unit = "connections", ENDPOINT(connections),
     .about = "The maximum number of connections (tcp only). A further one replaces the oldest that has not sent a "
              "frame, else the one whose last frame is oldest."},
    {.path = "endpoints[].idle", .type = SCHEMA_DURATION, .min = SECOND, .max = 7 * DAY, .fallback = "10m",
     ENDPOINT(idle_us),
     .about = "Close a connection after this long without a frame (tcp only)."},
    {.path = "endpoints[].check_time", .type = SCHEMA_BOOL, .fallback = "false", ENDPOINT(check_time),
     .about = "Reply NAK, once, to a frame whose time is more than 40 s in the past or 20 s in the future (sia-dc09 "
              "only)."},
    {.path = "endpoints[].require_encryption", .type = SCHEMA_BOOL, .fallback = "false", ENDPOINT(require_encryption),
     .about = "Reply DUH to frames that are not encrypted (sia-dc09 only)."},
    {.path = "endpoints[].dc09_keys", .type = SCHEMA_SECRET, ENDPOINT(dc09_keys),
     .about = "The file of keys, one line ACCOUNT HEXKEY each, readable by its owner only (sia-dc09 only)."},
    {.path = "endpoints[].expect_every", .type = SCHEMA_DURATION, .min = SECOND, .max = 3650 * DAY,
     ENDPOINT(expect_every_us),
     .about = "Report the endpoint as silent, in the log and the metrics, after this long without an accepted message."},
    {.path = "endpoints[].reply_flags", .type = SCHEMA_BOOL, .fallback = "false", ENDPOINT(reply_flags),
     .about = "Add a fourth frame to each ACK: what was odd about the alert, the words of flags in patrol.alerts with "
              "spaces between, as far as known at acceptance (router only)."},

    {.path = "security", .type = SCHEMA_SECTION,
     .about = "If set, ZeroMQ uses CURVE on tcp:// and only listed clients may send; otherwise anyone may."},
    {.path = "security.server_key", .type = SCHEMA_SECRET, CONF(security.server_key),
     .about = "The file of the daemon's secret key, as written by mobeyectl keygen, readable by its owner only."},
    {.path = "security.clients", .type = SCHEMA_PATH, CONF(security.clients),
     .about = "The file of the client list: who may send, and for which devices."},

    {.path = "http", .type = SCHEMA_SECTION, .about = "The HTTP server for metrics and health checks."},
    {.path = "http.listen", .type = SCHEMA_LISTEN, .restart = true, CONF(http_listen),
     .about = "The address at which /metrics, /healthz and /readyz are served. Default: not served."},

    {.path = "retention", .type = SCHEMA_SECTION,
     .about = "How long stored data is kept, counted from the time of occurrence."},
    {.path = "retention.camera", .type = SCHEMA_DURATION, .min = 2 * DAY, .max = 36500 * DAY, .fallback = "28d",
     CONF(retention.class_us[CLASS_CAMERA]),
     .about = "Alerts of kind camera. Deleted by whole days when the start of the day is this old, so none is kept longer."},
    {.path = "retention.alarm", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "365d",
     CONF(retention.class_us[CLASS_ALARM]),
     .about = "Alerts of all kinds that are neither camera nor service."},
    {.path = "retention.service", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "90d",
     CONF(retention.class_us[CLASS_SERVICE]),
     .about = "Alerts of the kinds power, battery, comms, keepalive, arm and bypass."},
    {.path = "retention.incident", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "1825d",
     CONF(retention.incident_us),
     .about = "Incidents with their history, and mutes; also the minimum for placements that have ended."},
    {.path = "retention.burglary", .type = SCHEMA_DURATION, .min = DAY, .max = 36500 * DAY, .fallback = "1825d",
     CONF(retention.burglary_us),
     .about = "Reported burglaries; their numbers by month and area are kept for reports."},

    {.path = "rules", .type = SCHEMA_LIST, .min = 0, .max = 1024, LIST(rules, n_rules, struct conf_rule),
     .about = "What to do with an alert. The first rule that matches decides; an alert that matches none is only "
              "stored."},
    {.path = "rules[].name", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, RULE(name),
     .about = "A unique name, used in the log and the database."},
    {.path = "rules[].match", .type = SCHEMA_SECTION,
     .about = "The conditions of the rule, all of which must hold. Default: every alert matches."},
    {.path = "rules[].match.kind", .type = SCHEMA_WORDS, .word = kind_word, MATCH(kinds),
     .about = "The kind of the alert. unknown stands for any word that is not one of the others."},
    {.path = "rules[].match.phase", .type = SCHEMA_WORDS, .word = phase_word, MATCH(phases),
     .about = "Whether a condition is raised, restored or updated."},
    {.path = "rules[].match.device", .type = SCHEMA_GLOBS, .min = 1, .max = 256, MATCH_WITH(devices, n_devices),
     .about = "The ID of the device."},
    {.path = "rules[].match.group", .type = SCHEMA_TEXTS, .min = 1, .max = 64, MATCH_WITH(groups, n_groups),
     .about = "The group of the device in the registry."},
    {.path = "rules[].match.registered", .type = SCHEMA_BOOL, MATCH(registered),
     .about = "Whether the device is in the registry."},
    {.path = "rules[].match.located", .type = SCHEMA_BOOL, MATCH(located),
     .about = "Whether the location of the alert is known."},
    {.path = "rules[].match.area", .type = SCHEMA_SECTION, .optional = true,
     .about = "The area of the location. An alert without a location does not match."},
    {.path = "rules[].match.area.layer", .type = SCHEMA_LAYER, .required = true, MATCH(area_layer),
     .about = "The location is in an area of this layer."},
    {.path = "rules[].match.area.code", .type = SCHEMA_TEXTS, .min = 1, .max = 64, MATCH_WITH(area_codes, n_area_codes),
     .about = "The location is in one of these areas of the layer. Default: any area."},
    {.path = "rules[].match.hours", .type = SCHEMA_HOURS, MATCH_WITH(hours, has_hours),
     .about = "Local time of occurrence, end excluded. A range over midnight belongs to the day on which it starts."},
    {.path = "rules[].match.days", .type = SCHEMA_DAYS, MATCH(days),
     .about = "Local day of occurrence. Hours over midnight belong to the day on which they start."},
    {.path = "rules[].match.score", .type = SCHEMA_SECTION,
     .about = "The score given by the camera. An alert without a score does not match."},
    {.path = "rules[].match.score.min", .type = SCHEMA_NUMBER, .min = 0, .max = 1, MATCH(score_min),
     .about = "The score is at least this."},
    {.path = "rules[].match.score.below", .type = SCHEMA_NUMBER, .min = 0, .max = 1, MATCH(score_below),
     .about = "The score is less than this."},
    {.path = "rules[].match.label", .type = SCHEMA_TEXTS, .min = 1, .max = 255, MATCH_WITH(labels, n_labels),
     .about = "The label of what the camera detected."},
    {.path = "rules[].match.camera_zone", .type = SCHEMA_TEXTS, .min = 1, .max = 255,
     MATCH_WITH(camera_zones, n_camera_zones),
     .about = "The zone of the camera image in which it was detected."},
    {.path = "rules[].match.drill", .type = SCHEMA_BOOL, MATCH(drill), .about = "Whether the alert is a drill."},
    {.path = "rules[].match.image", .type = SCHEMA_BOOL, MATCH(image),
     .about = "Whether the alert came with an image (one that was not dropped)."},
    {.path = "rules[].match.endpoint", .type = SCHEMA_TEXTS, .min = 1, .max = 64, MATCH_WITH(endpoints, n_endpoints),
     .about = "The name of the endpoint that received the alert."},
    {.path = "rules[].action", .type = SCHEMA_WORD, .word = action_word,
     .about = "store: the alert is only stored. Either action or incident."},
    {.path = "rules[].incident", .type = SCHEMA_SECTION, .optional = true, RULE(makes_incident),
     .about = "The alert joins an incident or creates one. Either action or incident."},
    {.path = "rules[].incident.category", .type = SCHEMA_WORD, .word = category_word, .required = true, RULE(terms.category),
     .about = "Who handles the incident: a patrol (alarm) or equipment maintenance (service)."},
    {.path = "rules[].incident.priority", .type = SCHEMA_INT, .min = PRIORITY_HIGHEST, .max = PRIORITY_LOWEST,
     .required = true, RULE(terms.priority),
     .about = "The priority of the incident; 1 is the highest."},
    {.path = "rules[].incident.group_by", .type = SCHEMA_GROUPING, .word = grouping_word, .required = true, RULE(group_by),
     .about = "Alerts that differ in one of these belong to different incidents."},
    {.path = "rules[].incident.gap", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, .required = true,
     RULE(terms.gap_us),
     .about = "An alert after a longer silence starts a new incident."},
    {.path = "rules[].incident.max_age", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, RULE(terms.max_age_us),
     .about = "An incident older than this accepts no more alerts."},
    {.path = "rules[].incident.moved_over", .type = SCHEMA_DISTANCE, .min = 1, .max = 1000000, RULE(terms.moved_over_m),
     .about = "A device that has moved further than this starts a new incident."},
    {.path = "rules[].incident.settle", .type = SCHEMA_DURATION, .min = MS, .max = 3650 * DAY, RULE(terms.settle_us),
     .about = "Raises received this soon after a person closed the incident still count on it; panic and holdup "
              "never do."},
    {.path = "rules[].incident.team", .type = SCHEMA_TEXT, .min = 1, .max = 64, RULE(team),
     .about = "The team of the incident. Default: the placement's team, else the area's."},
    {.path = "rules[].incident.verify_by", .type = SCHEMA_SECTION, .optional = true,
     .about = "What verifies an alarm: a second device nearby, or a second input of the same device."},
    {.path = "rules[].incident.verify_by.within", .type = SCHEMA_DURATION, .min = MS, .max = 7 * DAY, .required = true,
     RULE(terms.verify_within_us),
     .about = "The maximum time between the two."},
    {.path = "rules[].incident.verify_by.radius", .type = SCHEMA_DISTANCE, .min = 1, .max = 100000, .required = true,
     RULE(terms.verify_radius_m),
     .about = "The maximum distance between the two devices."},
    {.path = "rules[].incident.verify_by.priority", .type = SCHEMA_INT, .min = PRIORITY_HIGHEST, .max = PRIORITY_LOWEST,
     RULE(terms.verify_priority),
     .about = "The priority of a verified incident. Default: unchanged."},
    {.path = "rules[].incident.overdue", .type = SCHEMA_STEPS, .min = MS, .max = 3650 * DAY, RULE(terms.overdue_us),
     .about = "An incident that stays unacknowledged this long is marked as overdue and announced again; with a list, "
              "at each of these times."},

    {.path = SCHEMA_CLIENTS ".clients", .type = SCHEMA_LIST, .min = 0, .max = 4096, .required = true,
     LIST(clients, n_clients, struct conf_client),
     .about = "The clients that may send. All others are denied."},
    {.path = SCHEMA_CLIENTS ".clients[].name", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true, CLIENT(name),
     .about = "A unique name, used in the log and in replies."},
    {.path = SCHEMA_CLIENTS ".clients[].key", .type = SCHEMA_KEY, .required = true, CLIENT(key),
     .about = "The public key of the client, unique."},
    {.path = SCHEMA_CLIENTS ".clients[].devices", .type = SCHEMA_GLOBS, .min = 1, .max = 256, .required = true,
     CLIENT(devices), WITH(struct conf_client, n_devices),
     .about = "The devices that the client may report for. In sia-dc09, a device is named dc09:ACCOUNT or "
              "dc09:ACCOUNT/INPUT."},
    {.path = SCHEMA_CLIENTS ".clients[].sources", .type = SCHEMA_TEXTS, .min = 1, .max = 256, .fallback = "*",
     CLIENT(sources), WITH(struct conf_client, n_sources),
     .about = "The CloudEvents sources that the client may use; wildcards: * ? [...]."},
    {.path = SCHEMA_CLIENTS ".clients[].until", .type = SCHEMA_DATE, CLIENT(until),
     .about = "The last local day on which the client may send. Default: no limit."},
};
/* clang-format on */

const struct schema_key *schema_key(size_t i)
{
    static const struct schema_table own = {keys, ARRAY_LEN(keys)};
    static const struct schema_table *const tables[] = {&own, &schema_frigate, &schema_board};
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        if (i < tables[t]->n)
            return &tables[t]->keys[i];
        i -= tables[t]->n;
    }
    return NULL;
}
