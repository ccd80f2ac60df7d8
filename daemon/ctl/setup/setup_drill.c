/* Of mobeyectl setup: a drill alert, through the daemon to the database. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/address.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/lib/sender.h"
#include "ctl/setup/setup.h"

enum { PATIENCE_S = 30 };

/* Where alerts can be sent to and are answered; NULL: nowhere. */
static const struct conf_endpoint *door(const struct conf *conf)
{
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        const struct conf_endpoint *e = &conf->endpoints[i];
        struct endpoint_address address;
        struct err err;
        if (e->socket == CONF_ROUTER && e->format == ALERT_CLOUDEVENTS && e->bind &&
            address_bind(e->address, &address, &err) == 0 && (address.kind == ADDRESS_IPC || address.port != 0))
            return e;
    }
    return NULL;
}

/* What a bind to every address is reached by from here. */
static void reach(const struct conf_endpoint *e, char to[512])
{
    struct endpoint_address address;
    struct err err;
    snprintf(to, 512, "%s", e->address);
    if (address_bind(e->address, &address, &err) != 0 || address.kind != ADDRESS_TCP)
        return;
    if (strcmp(address.host, "*") == 0 || strcmp(address.host, "0.0.0.0") == 0)
        snprintf(to, 512, "tcp://127.0.0.1:%d", address.port);
    if (strcmp(address.host, "::") == 0)
        snprintf(to, 512, "tcp://[::1]:%d", address.port);
}

static void print_reject(void *ctx, uint64_t number, struct str why)
{
    (void)ctx;
    (void)number;
    ctl_fail(SETUP_VERB, "the daemon refused the drill: %.*s", (int)why.len, why.p);
}

/* Over CURVE where both are given. */
static int send_alert(const char *to, const char *server_key, const struct curve *curve, const char *id)
{
    char line[512], now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_us(), 3, now);
    int len =
        snprintf(line, sizeof(line),
                 "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/mobeyectl/setup\",\"type\":\"mobeye.alert.v1\","
                 "\"time\":\"%s\",\"data\":{\"device\":\"drill\",\"kind\":\"intrusion\",\"drill\":true,\"text\":"
                 "\"mobeyectl setup\"}}\n",
                 id, now);
    struct err err;
    struct lines lines = {.fd = memfd_create("drill", MFD_CLOEXEC), .max = ALERT_PAYLOAD_MAX};
    if (lines.fd < 0 || write(lines.fd, line, (size_t)len) != len || lseek(lines.fd, 0, SEEK_SET) < 0)
        return ctl_fail(SETUP_VERB, "the drill: %s", strerror(errno));
    const struct sender_endpoint endpoint = {to, server_key};
    struct sender_options options = {.endpoints = &endpoint,
                                     .n_endpoints = 1,
                                     .curve = curve,
                                     .timeout_us = PATIENCE_S * CLOCK_SECOND,
                                     .rejected = print_reject};
    struct sender_counts counts;
    int sent = sender_run(&options, &lines, &counts, &err);
    close(lines.fd);
    buf_free(&lines.in);
    if (sent != 0)
        return ctl_fail(SETUP_VERB, "the daemon does not accept the drill at %s: %s", to, err.text);
    return counts.accepted == 1 ? CTL_OK : CTL_FAILED;
}

static bool is_stored(PGconn *conn, const char *id)
{
    PGresult *rows =
        PQexecParams(conn, "select 1 from patrol.alerts where source = '/mobeyectl/setup' and event_id = $1", 1, NULL,
                     &id, NULL, NULL, 0);
    bool stored = PQntuples(rows) == 1;
    PQclear(rows);
    return stored;
}

static bool wait_stored(PGconn *conn, const char *id)
{
    int64_t until = clock_mono_us() + PATIENCE_S * CLOCK_SECOND;
    bool stored;
    while (!(stored = is_stored(conn, id)) && clock_mono_us() < until)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return stored;
}

/* The daemon's public key and that of the drill. */
static int load_keys(const struct setup *s, const struct conf *conf, struct curve *server, struct curve *ours)
{
    struct err err;
    char *path = setup_beside(s, "drill.key");
    int status = CTL_OK;
    if (curve_load(conf->security.server_key, server, &err) != 0 || curve_load(path, ours, &err) != 0)
        status = ctl_fail(SETUP_VERB, "no drill: %s (--curve makes its key, or mobeyectl send with that of a client)",
                          err.text);
    free(path);
    return status;
}

static int drill_at(struct setup *s, const char *to, const char *server_key, const struct curve *curve)
{
    char id[64];
    snprintf(id, sizeof(id), "drill-%lld-%d", (long long)clock_wall_us(), getpid());
    int64_t start = clock_mono_us();
    if (send_alert(to, server_key, curve, id) != CTL_OK)
        return ctl_fail(SETUP_VERB,
                        "no drill. Does the daemon run, with this configuration? systemctl restart " SETUP_USER
                        ", then mobeyectl setup again");
    if (!wait_stored(s->conn, id))
        return ctl_fail(SETUP_VERB,
                        "the daemon accepted the drill, and it is not in the database after %d s: mobeyectl status, "
                        "journalctl -u " SETUP_USER,
                        PATIENCE_S);
    setup_did(s, "a drill alert, sent to %s and in the database after %lld ms", to,
              (long long)(clock_mono_us() - start) / 1000);
    return CTL_OK;
}

static int drill(struct setup *s, const struct conf *conf)
{
    char to[512];
    const struct conf_endpoint *e = door(conf);
    if (!e) {
        setup_is(s, "no router endpoint for cloudevents, so no drill; mobeyectl dc09 send makes one for a panel");
        return CTL_OK;
    }
    errno = 0;
    if (ctl_daemon(conf) == 0 && (errno == 0 || errno == ENOENT))
        return ctl_fail(SETUP_VERB, "all is made, and the daemon does not run: systemctl restart " SETUP_USER
                                    ", then mobeyectl setup again, for a drill");
    reach(e, to);
    if (!e->curve)
        return drill_at(s, to, NULL, NULL);
    struct curve server, ours;
    int status = load_keys(s, conf, &server, &ours);
    if (status == CTL_OK)
        status = drill_at(s, to, server.public_key, &ours);
    curve_wipe(&server);
    curve_wipe(&ours);
    return status;
}

int setup_drill(struct setup *s)
{
    if (s->dry_run) {
        setup_did(s, "a drill alert, sent through the daemon to the database");
        return CTL_OK;
    }
    struct conf *conf = ctl_load(s->file);
    int status = conf ? drill(s, conf) : CTL_FAILED;
    conf_free(&conf);
    return status;
}
