/* Of mobeyectl setup: the keys of the daemon and of the drill, and the list that lets the drill in. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_sample.h"

/* Under another name until it is complete: a key that is there stays. */
static int make_key_file(char *path, bool for_daemon)
{
    const struct passwd *user = for_daemon && geteuid() == 0 ? getpwnam(SETUP_USER) : NULL;
    struct buf made = {0};
    char verb[] = "keygen", *argv[] = {verb, NULL, NULL};
    buf_printf(&made, "%s.setup%c", path, 0);
    argv[1] = made.data;
    unlink(made.data); /* of a run that was interrupted */
    printf("%-14s ", "public key:");
    fflush(stdout);
    int status = ctl_keygen(2, argv);
    if (status == CTL_OK && ((user && chown(made.data, user->pw_uid, user->pw_gid) < 0) || rename(made.data, path) < 0))
        status = ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
    ctl_sync_directory(path);
    buf_free(&made);
    return status;
}

/* Its owner is who has to read it: the daemon's user, or root. */
static int make_key(struct setup *s, char *path, const char *whose, bool for_daemon)
{
    if (access(path, F_OK) == 0) {
        setup_is(s, "%s is there", path);
        return CTL_OK;
    }
    if (!s->dry_run && make_key_file(path, for_daemon) != CTL_OK)
        return CTL_FAILED;
    setup_did(s, "%s, the key of %s", path, whose);
    return CTL_OK;
}

/* An empty list with one client on it. false: it is another. */
static bool list_with(struct str list, const char *public_key, struct buf *out)
{
    static const char empty[] = "clients: []\n";
    const char *at = memmem(list.p, list.len, empty, sizeof(empty) - 1);
    if (!at)
        return false;
    buf_append(out, list.p, (size_t)(at - list.p));
    buf_printf(out, "clients:\n  - {name: drill, key: ");
    ctl_json_string(out, str_from(public_key));
    buf_printf(out, ", devices: [drill], sources: [/mobeyectl/setup]} # of mobeyectl setup\n");
    at += sizeof(empty) - 1;
    buf_append(out, at, (size_t)(list.p + list.len - at));
    return true;
}

static int make_list(struct setup *s, const char *public_key)
{
    struct buf old = {0}, text = {0};
    int there = setup_read(s->clients, &old), status = there < 0 ? CTL_FAILED : CTL_OK;
    const struct setup_file file = {.path = s->clients,
                                    .old = there ? &old : NULL,
                                    .shipped = str_eq(buf_str(&old), (struct str){setup_clients, setup_clients_len}),
                                    .text = &text};
    if (there == 0)
        buf_append(&old, setup_clients, setup_clients_len);
    if (there >= 0 && list_with(buf_str(&old), public_key, &text))
        status = setup_put(s, &file);
    else if (there >= 0)
        setup_is(s, "%s has clients", s->clients);
    buf_free(&old);
    buf_free(&text);
    return status;
}

int setup_curve(struct setup *s)
{
    struct curve drill = {.public_key = "made by then"};
    struct err err;
    s->server_key = setup_beside(s, "server.key");
    s->clients = setup_beside(s, "clients.yaml");
    s->drill_key = setup_beside(s, "drill.key");
    int status = make_key(s, s->server_key, "the daemon", true);
    if (status == CTL_OK)
        status = make_key(s, s->drill_key, "who sends the drill", false);
    if (status == CTL_OK && access(s->drill_key, F_OK) == 0 && curve_load(s->drill_key, &drill, &err) != 0)
        status = ctl_fail(SETUP_VERB, "%s", err.text);
    if (status == CTL_OK)
        status = make_list(s, drill.public_key);
    curve_wipe(&drill);
    return status;
}
