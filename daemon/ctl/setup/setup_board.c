/* mobeyectl setup --board: the login, the configuration and the service of mobeye-board on this machine. */
#include <pwd.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf_board.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/unit.h"
#include "ctl/setup/setup.h"

#define BOARD_UNIT "mobeye-board.service"

int setup_board_user(void)
{
    if (geteuid() != 0 || getpwnam(CONNECT_BOARD_USER))
        return CTL_OK;
    return ctl_fail(SETUP_VERB,
                    "--board: the user " CONNECT_BOARD_USER " does not exist (install the package mobeyed-board "
                    "first)");
}

/* NULL: the file does not exist, or has errors, which the part that writes it prints. */
static struct conf_board *load_board(const char *file)
{
    struct buf diagnostics = {0};
    struct conf_board *conf = access(file, F_OK) == 0 ? conf_board_load(file, &diagnostics) : NULL;
    buf_free(&diagnostics);
    return conf;
}

/* When the service's process was started, by the wall clock in seconds; 0: it is not running. systemd reports it by the
 * monotonic clock. */
static double started_at(void)
{
    struct timespec wall, mono;
    char *text = ctl_unit_property(BOARD_UNIT, "ExecMainStartTimestampMonotonic");
    double us = text ? strtod(text, NULL) : 0;
    free(text);
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    double booted = (double)(wall.tv_sec - mono.tv_sec) + (double)(wall.tv_nsec - mono.tv_nsec) / 1e9;
    return us > 0 ? booted + us / 1e6 : 0;
}

static bool is_enabled_and_active(void)
{
    const char *const enabled[] = {"systemctl", "is-enabled", "--quiet", BOARD_UNIT, NULL};
    const char *const active[] = {"systemctl", "is-active", "--quiet", BOARD_UNIT, NULL};
    return ctl_systemctl(enabled) == 0 && ctl_systemctl(active) == 0;
}

/* Has systemd run the board with the present file, which the board reads only when it starts. */
static int run_board_unit(struct setup *s, unsigned long changes_before)
{
    const char *const enable[] = {"systemctl", "enable", "--quiet", BOARD_UNIT, NULL};
    const char *const restart[] = {"systemctl", "restart", BOARD_UNIT, NULL};
    if (access("/run/systemd/system", F_OK) != 0 || geteuid() != 0)
        return CTL_OK;
    if (is_enabled_and_active() && setup_changed_at(CONF_BOARD_FILE) <= started_at() && s->changes == changes_before) {
        setup_is(s, BOARD_UNIT " uses the present file");
        return CTL_OK;
    }
    if (!s->dry_run && (ctl_systemctl(enable) != 0 || ctl_systemctl(restart) != 0))
        return ctl_fail(SETUP_VERB, "systemctl restart " BOARD_UNIT " failed (see journalctl -u " BOARD_UNIT ")");
    setup_did(s, "enable " BOARD_UNIT " and restart it");
    return CTL_OK;
}

/* What only the administrator can do. */
static void print_what_is_left(struct setup *s)
{
    struct conf_board *conf = load_board(CONF_BOARD_FILE);
    char *complete = conf ? connect_complete(CONNECT_BOARD_USER, CONF_BOARD_FILE, conf->database.conninfo) : NULL;
    char *nobody =
        s->dry_run ? NULL : ctl_query_text(s->conn, "select 1 where not exists (select from mobeye.person)", NULL);
    if (conf && conf->identity.fixed)
        setup_left(s, "open http://%s in a browser on this machine; everybody there is %s, so this is a trial only",
                   conf->listen, conf->identity.fixed);
    else if (conf)
        setup_left(
            s,
            "a reverse proxy that authenticates people and passes their login to %s in the header %s:\n"
            "               /usr/share/doc/mobeyed-board/nginx.conf or apache.conf, and the chapter on the board in\n"
            "               /usr/share/doc/mobeyed/GUIDE.md.gz",
            conf->listen, conf->identity.header);
    if (conf && !connect_is_local(complete))
        setup_left(s,
                   "let the unit reach the database: systemctl edit mobeye-board, [Service], IPAddressAllow=ADDRESS");
    if (nobody)
        setup_left(s, "register the people who may use the board: mobeyectl teams import, mobeyectl people import");
    setup_left(s, "mobeyectl doctor checks all of it");
    free(complete);
    free(nobody);
    conf_board_free(&conf);
}

int setup_board(struct setup *s)
{
    struct setup_program board = {
        .name = "the board", .user = CONNECT_BOARD_USER, .role = "mobeye_board", .file = CONF_BOARD_FILE};
    struct conf_board *conf = load_board(board.file);
    unsigned long changes_before = s->changes;
    board.file_conninfo = conf ? mem_strdup(conf->database.conninfo) : NULL;
    conf_board_free(&conf);
    int status = setup_login(s, &board);
    if (status == CTL_OK)
        status = setup_board_configuration(s, &board);
    if (status == CTL_OK)
        status = run_board_unit(s, changes_before);
    if (status == CTL_OK)
        print_what_is_left(s);
    free(board.file_conninfo);
    free(board.conninfo);
    return status;
}
