/* mobeyectl setup: the keys of the daemon and of the drill, and the client list that admits the drill. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "base/json_write.h"
#include "base/secret.h"
#include "conf/load.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_sample.h"

static int make_key_file(const char *path, const char *user)
{
    struct curve pair;
    char line[CONF_KEY_LEN + 2];
    if (zmq_curve_keypair(pair.public_key, pair.secret_key) != 0)
        return ctl_fail(SETUP_VERB, "libzmq cannot generate keys: %s", zmq_strerror(errno));
    int len = snprintf(line, sizeof(line), "%s\n", pair.secret_key);
    int status = setup_write(path, (struct str){line, (size_t)len}, user, true);
    explicit_bzero(line, sizeof(line));
    curve_wipe(&pair);
    return status;
}

/* A key that somebody else has generated, as keygen of root. */
static int hand_key_over(struct setup *s, const char *path, const char *whose, const char *user)
{
    struct buf key = {0};
    char *secret = NULL;
    struct err err;
    int status = setup_read(path, &key) == 1 ? CTL_OK : CTL_FAILED;
    if (status == CTL_OK && conf_parse_key(path, buf_str(&key), &secret, &err) != 0)
        status = ctl_fail(SETUP_VERB, "%s", err.text);
    if (status == CTL_OK && !s->dry_run)
        status = setup_write(path, buf_str(&key), user, true);
    if (status == CTL_OK)
        setup_did(s, "give %s to %s alone", path, whose);
    secret_free_text(&secret);
    secret_free(&key);
    return status;
}

/* Creates the key unless it exists, and loads it if it does then. It belongs to the user who has to read it. */
static int make_key(struct setup *s, const char *path, const char *whose, const char *user, struct curve *ret)
{
    struct err err;
    bool there = access(path, F_OK) == 0, is_secret = there && setup_is_secret(path, user);
    if (!is_secret && setup_check_place(path) != CTL_OK)
        return CTL_FAILED;
    if (is_secret) {
        setup_is(s, "%s exists", path);
    } else if (there) {
        if (hand_key_over(s, path, whose, user) != CTL_OK)
            return CTL_FAILED;
    } else {
        if (!s->dry_run && make_key_file(path, user) != CTL_OK)
            return CTL_FAILED;
        setup_did(s, "create %s, the key of %s", path, whose);
    }
    if (access(path, F_OK) == 0 && curve_load(path, ret, &err) != 0)
        return ctl_fail(SETUP_VERB, "%s", err.text);
    return CTL_OK;
}

static void append_drill(struct buf *out, const char *public_key)
{
    buf_printf(out, "- {name: drill, key: ");
    json_write_string(out, str_from(public_key));
    buf_printf(out, ", devices: [drill], sources: [" CTL_DRILL_SOURCE "]}");
}

bool setup_lists(struct str list, const char *public_key)
{
    return memmem(list.p, list.len, public_key, strlen(public_key));
}

/* Appends the empty list with the drill added. false: the list is not empty. */
static bool list_with(struct str list, const char *public_key, struct buf *out)
{
    static const char empty[] = "clients: []\n";
    const char *at = memmem(list.p, list.len, empty, sizeof(empty) - 1);
    if (!at)
        return false;
    buf_append(out, list.p, (size_t)(at - list.p));
    buf_printf(out, "clients:\n  ");
    append_drill(out, public_key);
    buf_printf(out, " # of mobeyectl setup\n");
    at += sizeof(empty) - 1;
    buf_append(out, at, (size_t)(list.p + list.len - at));
    return true;
}

void setup_list_drill(struct setup *s, const char *list, const char *public_key)
{
    struct buf line = {0};
    append_drill(&line, public_key);
    setup_left(s, "for drills, add to %s: %.*s", list, (int)line.len, line.data);
    buf_free(&line);
}

static int make_list(struct setup *s, const char *public_key)
{
    struct buf old = {0}, text = {0};
    int there = setup_read(s->clients, &old), status = there < 0 ? CTL_FAILED : CTL_OK;
    const struct setup_file file = {.path = s->clients,
                                    .user = s->daemon.user,
                                    .old = there ? &old : NULL,
                                    .shipped = str_eq(buf_str(&old), (struct str){setup_clients, setup_clients_len}),
                                    .text = &text};
    if (there == 0)
        buf_append(&old, setup_clients, setup_clients_len);
    if (there >= 0 && list_with(buf_str(&old), public_key, &text))
        status = setup_put(s, &file);
    else if (there >= 0 && setup_lists(buf_str(&old), public_key))
        setup_is(s, "%s lists the drill", s->clients);
    else if (there >= 0)
        setup_list_drill(s, s->clients, public_key);
    buf_free(&old);
    buf_free(&text);
    return status;
}

/* The daemon's key may be a credential, which only systemd and the daemon can read. */
static int make_server_key(struct setup *s)
{
    struct curve server = {.public_key = ""};
    int status = CTL_OK;
    if (strncmp(s->server_key, SECRET_CREDENTIAL, strlen(SECRET_CREDENTIAL)) == 0)
        setup_is(s, "the key of the daemon is %s", s->server_key);
    else
        status = make_key(s, s->server_key, "the daemon", s->daemon.user, &server);
    if (server.public_key[0] != '\0')
        printf("%-14s the daemon's, for every sender: %s\n", "public key:", server.public_key);
    curve_wipe(&server);
    return status;
}

int setup_curve(struct setup *s)
{
    struct curve drill = {.public_key = "generated by then"};
    if (!s->server_key)
        s->server_key = setup_beside(s->daemon.file, "server.key");
    if (!s->clients)
        s->clients = setup_beside(s->daemon.file, "clients.yaml");
    s->drill_key = setup_beside(s->daemon.file, "drill.key");
    int status = make_server_key(s);
    if (status == CTL_OK)
        status = make_key(s, s->drill_key, "the drill", "root", &drill);
    if (status == CTL_OK)
        status = make_list(s, drill.public_key);
    curve_wipe(&drill);
    return status;
}
