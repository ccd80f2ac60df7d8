#include "frigate/mqtt_reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <mosquitto.h>

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

static void reason_of_close(const struct conf_frigate *conf, const struct mqtt_loss *loss, struct err *ret)
{
    const struct mqtt_client_id id = mqtt_client_id(conf);
    if (!loss->subscribed)
        err_set(ret, "the broker closed the connection before it accepted the client (%s)",
                conf->mqtt.login.ca_file ? "does it speak TLS at mqtt.port?" : "does it require TLS: mqtt.ca_file?");
    else if (loss->short_ones < MQTT_SHORT_ONES)
        err_set(ret, "the broker closed the connection (was it stopped, or did another client connect as %s?)",
                id.text);
    else
        err_set(ret,
                "the broker accepts %s and closes the connection soon after: does another mobeye-frigate with name: %s "
                "run, here or elsewhere?",
                id.text, conf->name);
}

static void reason_of_socket(const struct conf_frigate *conf, const struct mqtt_loss *loss, struct err *ret)
{
    switch (loss->error) {
    case ECONNREFUSED:
        err_set(ret, "connection refused (is the broker running, is mqtt.port right?)");
        break;
    case ECONNRESET:
    case EPIPE:
        reason_of_close(conf, loss, ret);
        break;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        err_set(ret, "%s (is mqtt.host right, does a firewall block the port?)", strerror(loss->error));
        break;
    default:
        err_set(ret, "%s", strerror(loss->error));
    }
}

void mqtt_reason(const struct conf_frigate *conf, const struct mqtt_loss *loss, struct err *ret)
{
    if (conf->mqtt.login.ca_file && *loss->tls && !loss->subscribed)
        err_set(ret,
                "TLS: %s (is mqtt.ca_file of the authority that signed the certificate of the broker, and mqtt.host "
                "the name in it?)",
                tls_words(loss->tls));
    else if (loss->error != 0)
        reason_of_socket(conf, loss, ret);
    else if (loss->rc == MOSQ_ERR_EAI)
        err_set(ret, "cannot look up the name of the broker (is mqtt.host right?)");
    else if (loss->rc == MOSQ_ERR_ERRNO || loss->rc == MOSQ_ERR_CONN_LOST || loss->rc == MOSQ_ERR_NO_CONN)
        reason_of_close(conf, loss, ret);
    else
        err_set(ret, "%s", mosquitto_strerror(loss->rc));
}

void mqtt_refusal(int rc, struct err *ret)
{
    static const char start[] = "Connection Refused: ";
    const char *text = mosquitto_connack_string(rc);
    if (strncmp(text, start, sizeof(start) - 1) == 0)
        text += sizeof(start) - 1;
    int len = (int)strcspn(text, ".");
    bool login = rc == 4 || rc == 5; /* MQTT 3.1.1: bad user name or password, not authorized */
    err_set(ret, "refused: %.*s%s", len, text, login ? " (are mqtt.user and mqtt.password_file right?)" : "");
}
