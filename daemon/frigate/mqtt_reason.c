#include "frigate/mqtt_reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <mosquitto.h>

__attribute__((format(printf, 1, 2))) static struct mqtt_reason reason(const char *fmt, ...)
{
    struct mqtt_reason ret;
    va_list args;
    va_start(args, fmt);
    vsnprintf(ret.text, sizeof(ret.text), fmt, args);
    va_end(args);
    return ret;
}

struct mqtt_client_id mqtt_client_id(const struct conf_frigate *conf)
{
    struct mqtt_client_id ret;
    snprintf(ret.text, sizeof(ret.text), "mobeye-frigate-%s", conf->name);
    return ret;
}

/* "error:0A000086:SSL routines::certificate verify failed": what follows the last colon. */
static const char *tls_words(const char *tls)
{
    const char *colon = strrchr(tls, ':');
    return colon ? colon + 1 + strspn(colon + 1, " ") : tls;
}

static struct mqtt_reason reason_of_close(const struct conf_frigate *conf, const struct mqtt_loss *loss)
{
    const struct mqtt_client_id id = mqtt_client_id(conf);
    if (!loss->subscribed)
        return reason("the broker closed the connection before it accepted the client (%s)",
                      conf->mqtt.login.ca_file ? "does it speak TLS at mqtt.port?"
                                               : "does it require TLS: mqtt.ca_file?");
    if (loss->short_ones < MQTT_SHORT_ONES)
        return reason("the broker closed the connection (was it stopped, or did another client connect as %s?)",
                      id.text);
    return reason(
        "the broker accepts %s and closes the connection soon after: does another mobeye-frigate with name: %s "
        "run, here or elsewhere?",
        id.text, conf->name);
}

static struct mqtt_reason reason_of_socket(const struct conf_frigate *conf, const struct mqtt_loss *loss)
{
    switch (loss->error) {
    case ECONNREFUSED:
        return reason("connection refused (is the broker running, is mqtt.port right?)");
    case ECONNRESET:
    case EPIPE:
        return reason_of_close(conf, loss);
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return reason("%s (is mqtt.host right, does a firewall block the port?)", strerror(loss->error));
    default:
        return reason("%s", strerror(loss->error));
    }
}

struct mqtt_reason mqtt_reason(const struct conf_frigate *conf, const struct mqtt_loss *loss)
{
    if (conf->mqtt.login.ca_file && *loss->tls && !loss->subscribed)
        return reason(
            "TLS: %s (is mqtt.ca_file of the authority that signed the certificate of the broker, and mqtt.host "
            "the name in it?)",
            tls_words(loss->tls));
    if (loss->error != 0)
        return reason_of_socket(conf, loss);
    if (loss->rc == MOSQ_ERR_EAI)
        return reason("cannot look up the name of the broker (is mqtt.host right?)");
    if (loss->rc == MOSQ_ERR_ERRNO || loss->rc == MOSQ_ERR_CONN_LOST || loss->rc == MOSQ_ERR_NO_CONN)
        return reason_of_close(conf, loss);
    return reason("%s", mosquitto_strerror(loss->rc));
}

struct mqtt_reason mqtt_refusal(int rc)
{
    static const char start[] = "Connection Refused: ";
    const char *text = mosquitto_connack_string(rc);
    if (strncmp(text, start, sizeof(start) - 1) == 0)
        text += sizeof(start) - 1;
    int len = (int)strcspn(text, ".");
    bool login = rc == 4 || rc == 5; /* MQTT 3.1.1: bad user name or password, not authorized */
    return reason("refused: %.*s%s", len, text, login ? " (are mqtt.user and mqtt.password_file right?)" : "");
}
