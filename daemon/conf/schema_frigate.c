/* The keys of the configuration of mobeye-frigate. */
#include "base/array.h"
#include "conf/conf_frigate.h"
#include "conf/schema.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

#define CONF(member) .offset = offsetof(struct conf_frigate, member), .size = sizeof(((struct conf_frigate *)0)->member)
#define WITH(member) .second = offsetof(struct conf_frigate, member)
#define CAMERA(member)                                                                                                 \
    .offset = offsetof(struct conf_frigate_camera, member), .size = sizeof(((struct conf_frigate_camera *)0)->member)
#define F SCHEMA_FRIGATE "."

static const char *keep_word(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {"sub_label", "plate"};
    *ret_value = i;
    return i < ARRAY_LEN(words) ? words[i] : NULL;
}

/* clang-format off */
static const struct schema_key keys[] = {
    {.path = F "name", .type = SCHEMA_DEVICE, .min = 1, .max = 32, .required = true, CONF(name),
     .about = "The name of this Frigate server, which no other bridge has: its alerts have the source /frigate/NAME, its device is NAME, and mobeye-frigate-NAME is its client ID at the broker."},

    {.path = F "mqtt", .type = SCHEMA_SECTION, .optional = true, CONF(mqtt.given),
     .about = "The broker that Frigate publishes to. Without it events are found within a minute, over HTTP."},
    {.path = F "mqtt.host", .type = SCHEMA_TEXT, .min = 1, .max = 253, .required = true, CONF(mqtt.host),
     .about = "The host name or address of the broker."},
    {.path = F "mqtt.port", .type = SCHEMA_INT, .min = 1, .max = 65535, .fallback = "1883", CONF(mqtt.port),
     .about = "The port of the broker; 8883 is usual with ca_file."},
    {.path = F "mqtt.topic_prefix", .type = SCHEMA_TEXT, .min = 1, .max = 128, .fallback = "frigate", CONF(mqtt.topic_prefix),
     .about = "topic_prefix in the configuration of Frigate."},
    {.path = F "mqtt.user", .type = SCHEMA_TEXT, .min = 1, .max = 255, CONF(mqtt.login.user),
     .about = "The user to log in as. Default: no login."},
    {.path = F "mqtt.password_file", .type = SCHEMA_SECRET, CONF(mqtt.login.password_file),
     .about = "The file whose first line is the password, readable by its owner only."},
    {.path = F "mqtt.ca_file", .type = SCHEMA_PATH, CONF(mqtt.login.ca_file),
     .about = "Use TLS; the certificate of the broker must be signed by an authority in this PEM file."},

    {.path = F "api", .type = SCHEMA_SECTION, .about = "The HTTP interface of Frigate."},
    {.path = F "api.url", .type = SCHEMA_URL, .required = true, CONF(api.url),
     .about = "The address of Frigate: port 5000 without login, for this machine and private networks only, or 8971 with user."},
    {.path = F "api.user", .type = SCHEMA_TEXT, .min = 1, .max = 255, CONF(api.login.user),
     .about = "The user of Frigate to log in as. Default: no login."},
    {.path = F "api.password_file", .type = SCHEMA_SECRET, CONF(api.login.password_file),
     .about = "The file whose first line is the password, readable by its owner only."},
    {.path = F "api.ca_file", .type = SCHEMA_PATH, CONF(api.login.ca_file),
     .about = "For https: the certificate of Frigate must be signed by an authority in this PEM file. Default: those of the system."},

    {.path = F "to", .type = SCHEMA_CONNECTS, .required = true, CONF(to), WITH(n_to),
     .about = "The router endpoints of mobeyed, at most 8; the first that answers is used."},
    {.path = F "server_key", .type = SCHEMA_KEYS, CONF(server_keys), WITH(n_server_keys),
     .about = "The public key of mobeyed. With it the endpoint uses CURVE, which requires client_key."},
    {.path = F "client_key", .type = SCHEMA_SECRET, CONF(client_key),
     .about = "The file of the secret key of this client, as written by mobeyectl keygen, readable by its owner only."},
    {.path = F "state", .type = SCHEMA_PATH, .fallback = "/var/lib/mobeye-frigate", CONF(state),
     .about = "The directory that stores the position up to which events were accepted. If it is empty, the events of the last hour are fetched."},

    {.path = F "cameras", .type = SCHEMA_NAMED, .min = 0, .max = 256,
     .offset = offsetof(struct conf_frigate, cameras), WITH(n_cameras), .item_size = sizeof(struct conf_frigate_camera),
     .about = "Cameras by their name in Frigate. A camera that is not named is sent as device NAME/CAMERA."},
    {.path = F "cameras[].device", .type = SCHEMA_DEVICE, .min = 1, .max = 64, CAMERA(device),
     .about = "The device ID of the camera in the registry. Default: NAME/CAMERA."},
    {.path = F "cameras[].ignore", .type = SCHEMA_BOOL, .fallback = "false", CAMERA(ignore),
     .about = "Send nothing of this camera."},
    {.path = F "labels", .type = SCHEMA_TEXTS, .min = 1, .max = 64, CONF(labels), WITH(n_labels),
     .about = "What to send alerts about, by the label that Frigate gives it. Default: all."},
    {.path = F "keep", .type = SCHEMA_WORDS, .word = keep_word, CONF(keep),
     .about = "Names (sub_label) and number plates (plate) that Frigate recognized are sent only if listed here."},

    {.path = F "images", .type = SCHEMA_SECTION, .optional = true, CONF(images.given),
     .about = "Send images, soon after the start and at the end of each event. Default: no images."},
    {.path = F "images.height", .type = SCHEMA_INT, .min = 90, .max = 2160, .fallback = "720", .unit = "pixels", CONF(images.height),
     .about = "The height to which Frigate scales the image while the event is in progress. Once the event has ended, Frigate may send the snapshot at its own snapshots: height. An image of more than 1,000,000 bytes is fetched again at half the height, and finally dropped."},
    {.path = F "images.retry_for", .type = SCHEMA_DURATION, .min = SECOND, .max = DAY / 24, .fallback = "2m", CONF(images.retry_for_us),
     .about = "How long to ask again for an image that is not available yet."},

    {.path = F "http", .type = SCHEMA_SECTION, .about = "The HTTP server for metrics and health checks."},
    {.path = F "http.listen", .type = SCHEMA_LISTEN, CONF(http_listen),
     .about = "The address at which /metrics and /healthz are served. Default: not served."},
};
/* clang-format on */

const struct schema_table schema_frigate = {keys, ARRAY_LEN(keys)};
