/* Of mobeyectl setup: the keys of the daemon and of the drill, and the list that lets the drill in. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/curve.h"
#include "ctl/setup.h"

/* NAME beside the configuration, absolute, as the configuration wants it. */
static char *beside(const struct setup *s, const char *name)
{
    char *path = NULL, *directory = strdup(setup_file_name(s)), *slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    char *real = realpath(slash ? directory : ".", NULL);
    if (asprintf(&path, "%s/%s", real ? real : slash ? directory : ".", name) < 0)
        path = NULL;
    free(real);
    free(directory);
    return path;
}

/* A key that is there stays. Its owner is who has to read it: the daemon's user, or root. */
static int make_key(struct setup *s, char *path, const char *whose, bool for_daemon)
{
    const struct passwd *user = for_daemon && geteuid() == 0 ? getpwnam(SETUP_USER) : NULL;
    char verb[] = "keygen", *argv[] = {verb, path, NULL};
    if (access(path, F_OK) == 0) {
        setup_is(s, "%s is there", path);
        return CTL_OK;
    }
    if (!s->dry_run) {
        printf("%-14s ", "public key:");
        fflush(stdout);
        if (ctl_keygen(2, argv) != CTL_OK)
            return CTL_FAILED;
        if (user && chown(path, user->pw_uid, user->pw_gid) < 0)
            return ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
    }
    setup_did(s, "%s, the key of %s", path, whose);
    return CTL_OK;
}

/* The list as it is shipped, empty, with one client on it. false: it is another. */
static bool list_with(struct str list, const char *public_key, struct buf *out)
{
    static const char empty[] = "clients: []\n";
    const char *at = memmem(list.p, list.len, empty, sizeof(empty) - 1);
    if (!at)
        return false;
    buf_append(out, list.p, (size_t)(at - list.p));
    buf_printf(out, "clients:\n  - {name: drill, key: ");
    ctl_json_string(out, str_from(public_key));
    buf_printf(out, ", devices: [drill]} # of mobeyectl setup\n");
    at += sizeof(empty) - 1;
    buf_append(out, at, (size_t)(list.p + list.len - at));
    return true;
}

static int make_list(struct setup *s, const char *public_key)
{
    struct buf old = {0}, text = {0};
    int there = setup_read(s->clients, &old), status = there < 0 ? CTL_FAILED : CTL_OK;
    if (there == 0)
        buf_append_str(&old, STR("# Who may send: see mobeyed.yaml(5).\nclients: []\n"));
    if (there >= 0 && list_with(buf_str(&old), public_key, &text))
        status = setup_put(s, s->clients, there ? &old : NULL, &text, NULL);
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
    s->server_key = beside(s, "server.key");
    s->clients = beside(s, "clients.yaml");
    s->drill_key = beside(s, "drill.key");
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
