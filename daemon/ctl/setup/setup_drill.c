/* mobeyectl setup: a drill alert, through the daemon to the database. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/secret.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/lib/sender_file.h"
#include "ctl/setup/setup.h"

enum { PATIENCE_S = 30 };

/* The first endpoint that accepts CloudEvents; NULL: none. */
static const struct conf_endpoint *find_drill_endpoint(const struct conf *conf)
{
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        const struct conf_endpoint *e = &conf->endpoints[i];
        struct address address;
        struct err err;
        if (e->socket == CONF_ROUTER && e->format == ALERT_CLOUDEVENTS && e->bind &&
            address_bind(e->address, &address, &err) == 0 && (address.kind == ADDRESS_IPC || address.port != 0))
            return e;
    }
    return NULL;
}

/* The address of the interface to which the endpoint is bound; *ret stays as it is where it has none. */
static void find_interface(const char *name, char ret[INET6_ADDRSTRLEN])
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        if (strcmp(one->ifa_name, name) == 0 && one->ifa_addr && one->ifa_addr->sa_family == AF_INET) {
            inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)one->ifa_addr)->sin_addr, ret,
                      INET6_ADDRSTRLEN);
            break;
        }
    freeifaddrs(all);
}

/* The address to connect to from this machine; for an endpoint bound to every address, the loopback one. */
static void reachable_address(const struct conf_endpoint *e, char to[512])
{
    struct address address;
    struct err err;
    snprintf(to, 512, "%s", e->address);
    if (address_bind(e->address, &address, &err) != 0 || address.kind != ADDRESS_TCP)
        return;
    char interface[INET6_ADDRSTRLEN] = "";
    if (address.name)
        find_interface(address.host, interface);
    if (*interface)
        snprintf(to, 512, "tcp://%s:%d", interface, address.port);
    if (strcmp(address.host, "*") == 0 || strcmp(address.host, "0.0.0.0") == 0)
        snprintf(to, 512, "tcp://127.0.0.1:%d", address.port);
    if (strcmp(address.host, "::") == 0)
        snprintf(to, 512, "tcp://[::1]:%d", address.port);
}

static void print_reject(void *ctx, uint64_t number, struct str why)
{
    (void)ctx;
    (void)number;
    ctl_fail(SETUP_VERB, "the daemon rejected the drill alert: %.*s", (int)why.len, why.p);
}

/* Uses CURVE if both keys are given. */
static int send_alert(const char *to, const char *server_key, const struct curve *curve, const char *id)
{
    char line[512], now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_us(), 3, now);
    int len = snprintf(line, sizeof(line),
                       "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"" CTL_DRILL_SOURCE
                       "\",\"type\":\"mobeye.alert.v1\","
                       "\"time\":\"%s\",\"data\":{\"device\":\"drill\",\"kind\":\"intrusion\",\"drill\":true,\"text\":"
                       "\"mobeyectl setup\"}}\n",
                       id, now);
    struct err err;
    struct lines lines = {.fd = memfd_create("drill", MFD_CLOEXEC), .max = ALERT_PAYLOAD_MAX};
    if (lines.fd < 0 || write(lines.fd, line, (size_t)len) != len || lseek(lines.fd, 0, SEEK_SET) < 0)
        return ctl_fail(SETUP_VERB, "drill alert: %s", strerror(errno));
    const struct sender_endpoint endpoint = {to, server_key};
    struct sender_options options = {.endpoints = &endpoint,
                                     .n_endpoints = 1,
                                     .curve = curve,
                                     .timeout_us = PATIENCE_S * CLOCK_SECOND,
                                     .rejected = print_reject};
    struct sender_counts counts;
    struct documents documents = {.lines = &lines};
    int sent = sender_file_send(&options, &(struct sender_file){.documents = &documents}, &counts, &err);
    close(lines.fd);
    documents_free(&documents);
    buf_free(&lines.in);
    if (sent != 0)
        return ctl_fail(SETUP_VERB, "the daemon did not accept the drill alert at %s: %s", to, err.text);
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

/* Whether the drill can be a client: the daemon's key can be read, and the client list has the drill's. Otherwise says
 * why not. */
static bool may_be_client(struct setup *s, const struct conf *conf)
{
    struct buf list = {0};
    struct err err;
    struct curve drill;
    char *path = setup_beside(s->daemon.file, "drill.key");
    bool credential = strncmp(conf->security.server_key, SECRET_CREDENTIAL, strlen(SECRET_CREDENTIAL)) == 0, may = true;
    if (credential)
        setup_is(s,
                 "no drill alert: the daemon's key is a credential (mobeyectl send with the key of a client tests it)");
    else if (curve_load(path, &drill, &err) == 0) {
        may = setup_read(conf->security.clients, &list) != 1 || setup_lists(buf_str(&list), drill.public_key);
        if (!may) {
            setup_is(s, "no drill alert: %s does not list the drill", conf->security.clients);
            setup_list_drill(s, conf->security.clients, drill.public_key);
        }
        curve_wipe(&drill);
    }
    buf_free(&list);
    free(path);
    return may && !credential;
}

/* The public key of the daemon and the keys of the drill. */
static int load_keys(const struct setup *s, const struct conf *conf, struct curve *server, struct curve *ours)
{
    struct err err;
    char *path = setup_beside(s->daemon.file, "drill.key");
    int status = CTL_OK;
    if (curve_load(conf->security.server_key, server, &err) != 0 || curve_load(path, ours, &err) != 0)
        status = ctl_fail(SETUP_VERB,
                          "no drill alert was sent: %s (--curve creates the key; or use mobeyectl send with the key of "
                          "a client)",
                          err.text);
    free(path);
    return status;
}

static int send_drill(struct setup *s, const char *to, const char *server_key, const struct curve *curve)
{
    char id[64];
    snprintf(id, sizeof(id), "drill-%lld-%d", (long long)clock_wall_us(), getpid());
    int64_t start = clock_mono_us();
    if (send_alert(to, server_key, curve, id) != CTL_OK)
        return ctl_fail(SETUP_VERB, "no drill alert was stored; is the daemon running with this configuration? "
                                    "(systemctl restart " CONNECT_DAEMON_USER ", then run mobeyectl setup again)");
    if (!wait_stored(s->conn, id))
        return ctl_fail(SETUP_VERB,
                        "the daemon accepted the drill alert, but it is not in the database after %d s (see mobeyectl "
                        "status and journalctl -u " CONNECT_DAEMON_USER ")",
                        PATIENCE_S);
    setup_did(s, "send a drill alert to %s; stored in the database after %lld ms", to,
              (long long)(clock_mono_us() - start) / 1000);
    return CTL_OK;
}

static int run_drill(struct setup *s, const struct conf *conf)
{
    char to[512];
    pid_t daemon;
    struct err err;
    const struct conf_endpoint *e = find_drill_endpoint(conf);
    if (!e) {
        setup_is(s, "no drill alert: no router endpoint takes cloudevents (mobeyectl dc09 send tests a panel's)");
        return CTL_OK;
    }
    if (ctl_daemon(conf, &daemon, &err) == 0 && daemon == 0)
        return ctl_fail(SETUP_VERB, "setup is complete, but the daemon does not run, so no drill alert was sent "
                                    "(systemctl restart " CONNECT_DAEMON_USER ", then run mobeyectl setup again)");
    reachable_address(e, to);
    if (!e->curve)
        return send_drill(s, to, NULL, NULL);
    if (!may_be_client(s, conf))
        return CTL_OK;
    struct curve server, ours;
    int status = load_keys(s, conf, &server, &ours);
    if (status == CTL_OK)
        status = send_drill(s, to, server.public_key, &ours);
    curve_wipe(&server);
    curve_wipe(&ours);
    return status;
}

int setup_drill(struct setup *s)
{
    if (s->dry_run) {
        setup_did(s, "send a drill alert through the daemon to the database");
        return CTL_OK;
    }
    struct conf *conf = ctl_load(s->daemon.file);
    int status = conf ? run_drill(s, conf) : CTL_FAILED;
    conf_free(&conf);
    return status;
}
