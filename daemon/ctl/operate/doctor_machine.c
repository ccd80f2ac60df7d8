/* Of mobeyectl doctor: clock, files, descriptors, ports, the unit, and what of supervision stands in the file. */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "conf/address.h"
#include "ctl/lib/ctl.h"
#include "ctl/operate/doctor.h"

#define USER "mobeyed"

void doctor_clock(struct doctor *d)
{
    struct timex now = {0};
    int state = adjtimex(&now);
    if (state < 0)
        doctor_say(d, DOCTOR_WARNING, "clock", "see timedatectl",
                   "the kernel does not say whether it is synchronised (%s)", strerror(errno));
    else if (state == TIME_ERROR || (now.status & STA_UNSYNC))
        doctor_say(d, DOCTOR_WARNING, "clock", "run systemd-timesyncd or chrony; alerts are judged by this clock",
                   "it is not synchronised");
    else
        doctor_say(d, DOCTOR_OK, "clock", NULL, "synchronised, wrong by at most %ld ms", now.maxerror / 1000);
}

/* Whether a user with these groups may read the file, by its mode alone. */
static bool may_read(const struct stat *st, const struct passwd *user)
{
    gid_t groups[64];
    int n = 64;
    if (st->st_uid == user->pw_uid)
        return st->st_mode & S_IRUSR;
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
        n = 64;
    for (int i = 0; i < n; i++)
        if (groups[i] == st->st_gid)
            return st->st_mode & S_IRGRP;
    return st->st_mode & S_IROTH;
}

static void say_secret(struct doctor *d, const char *what, const char *path)
{
    struct stat st;
    if (strncmp(path, SECRET_CREDENTIAL, strlen(SECRET_CREDENTIAL)) == 0)
        return; /* systemd sees to it */
    if (stat(path, &st) < 0)
        doctor_say(d, DOCTOR_PROBLEM, "files", "see the name in the configuration", "%s %s: %s", what, path,
                   strerror(errno));
    else if (st.st_mode & 077)
        doctor_say(d, DOCTOR_PROBLEM, "files", "chmod 0600 it; neither group nor others may have any right to it",
                   "%s %s has mode %04o", what, path, st.st_mode & 07777);
    else
        doctor_say(d, DOCTOR_OK, "files", NULL, "%s %s is its owner's alone", what, path);
}

/* password and passfile of the conninfo; libpq leaves a passfile out that others may read. */
static bool has_password(struct doctor *d)
{
    bool password = false;
    PQconninfoOption *options = PQconninfoParse(d->conninfo, NULL);
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        if (!o->val)
            continue;
        password |= strcmp(o->keyword, "password") == 0;
        if (strcmp(o->keyword, "passfile") == 0 && strncmp(o->val, "/run/credentials/", 17) != 0)
            say_secret(d, "the password file", o->val);
    }
    PQconninfoFree(options);
    return password;
}

static void say_file(struct doctor *d, const struct passwd *user)
{
    struct stat st;
    const char *path = d->conf->file;
    bool secret = has_password(d);
    if (stat(path, &st) < 0)
        doctor_say(d, DOCTOR_PROBLEM, "files", "see its directory", "%s: %s", path, strerror(errno));
    else if (user && !may_read(&st, user))
        doctor_say(d, DOCTOR_PROBLEM, "files", "chown root:" USER " it, chmod 0640", "the user " USER " cannot read %s",
                   path);
    else if (st.st_mode & S_IWOTH || (secret && st.st_mode & S_IROTH))
        doctor_say(d, DOCTOR_PROBLEM, "files", "chown root:" USER " it, chmod 0640; passwords belong in a passfile",
                   "%s has mode %04o%s", path, st.st_mode & 07777, secret ? " and a password in it" : "");
    else if (st.st_mode & S_IROTH)
        doctor_say(d, DOCTOR_WARNING, "files", "chown root:" USER " it, chmod 0640", "everybody can read %s", path);
    else
        doctor_say(d, DOCTOR_OK, "files", NULL, "%s has mode %04o", path, st.st_mode & 07777);
}

static void say_journal(struct doctor *d, const struct passwd *user)
{
    struct stat st;
    const char *path = d->conf->journal.directory;
    if (stat(path, &st) < 0)
        doctor_say(d, errno == ENOENT ? DOCTOR_WARNING : DOCTOR_PROBLEM, "files",
                   errno == ENOENT ? "the daemon makes it at its first start" : "see its directories", "%s: %s", path,
                   strerror(errno));
    else if (st.st_mode & 07)
        doctor_say(d, DOCTOR_PROBLEM, "files", "chmod 0750 it; it holds what alarms say of homes", "%s has mode %04o",
                   path, st.st_mode & 07777);
    else if (user && st.st_uid != user->pw_uid)
        doctor_say(d, DOCTOR_WARNING, "files", "chown -R " USER ": it, if that is who runs the daemon",
                   "%s does not belong to the user " USER, path);
    else
        doctor_say(d, DOCTOR_OK, "files", NULL, "%s has mode %04o", path, st.st_mode & 07777);
}

void doctor_files(struct doctor *d)
{
    const struct passwd *user = getpwnam(USER);
    if (!user)
        doctor_say(d, DOCTOR_WARNING, "files", "systemd-sysusers makes it, from the package's mobeyed.conf",
                   "there is no user " USER);
    say_file(d, user);
    say_journal(d, user);
    if (d->conf->security.server_key)
        say_secret(d, "the daemon's key", d->conf->security.server_key);
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        if (d->conf->endpoints[i].dc09_keys)
            say_secret(d, "the key file", d->conf->endpoints[i].dc09_keys);
}

/* The soft limit of a process; -1: not known. */
static long descriptor_limit(pid_t pid)
{
    char path[64], line[256];
    long limit = -1;
    snprintf(path, sizeof(path), "/proc/%d/limits", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "Max open files", 14) == 0)
            limit = strncmp(line + 14 + strspn(line + 14, " "), "unlimited", 9) == 0 ? INT32_MAX : atol(line + 14);
    if (file)
        fclose(file);
    return limit;
}

void doctor_descriptors(struct doctor *d)
{
    enum { OTHERS = 1024 }; /* segments, ZeroMQ peers, the database, /metrics */
    long needed = OTHERS;
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        needed += d->conf->endpoints[i].socket == CONF_TCP ? d->conf->endpoints[i].connections : 0;
    if (d->daemon == 0) {
        doctor_say(d, DOCTOR_OK, "descriptors", NULL, "the daemon does not run; it will need at least %ld", needed);
        return;
    }
    long limit = descriptor_limit(d->daemon);
    if (limit < 0)
        doctor_say(d, DOCTOR_WARNING, "descriptors", "run doctor as root", "the limit of process %d cannot be read",
                   d->daemon);
    else if (limit < needed)
        doctor_say(d, DOCTOR_PROBLEM, "descriptors", "raise LimitNOFILE of the unit (65536), restart",
                   "the daemon may open %ld, and %ld may be needed", limit, needed);
    else
        doctor_say(d, DOCTOR_OK, "descriptors", NULL, "the daemon may open %ld, and %ld may be needed", limit, needed);
}

/* 0: free. Else an errno, or EAI_NONAME where the host is no number. */
static int try_bind(const struct endpoint_address *address)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[16];
    snprintf(port, sizeof(port), "%d", address->port);
    const char *host = strcmp(address->host, "*") == 0 ? NULL : address->host;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return EAI_NONAME;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); /* past connections of the daemon do not count */
    int result = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
    if (result == 0 && listen(fd, 1) < 0)
        result = errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return result;
}

static void say_port(struct doctor *d, const char *what, const struct endpoint_address *address)
{
    int why = try_bind(address);
    if (why == 0 || why == EAI_NONAME)
        return;
    const char *advice = why == EADDRINUSE      ? "ss -ltnp shows who has it"
                         : why == EADDRNOTAVAIL ? "no interface of this machine has that address"
                         : why == EACCES ? "ports below 1024 take CAP_NET_BIND_SERVICE, which the unit does not give"
                                         : "see the address";
    doctor_say(d, DOCTOR_PROBLEM, "ports", advice, "%s cannot have %s port %d (%s)", what, address->host, address->port,
               strerror(why));
}

void doctor_ports(struct doctor *d)
{
    struct endpoint_address address;
    struct err err;
    unsigned problems = d->told[DOCTOR_PROBLEM];
    if (!d->conf->http_listen)
        doctor_say(d, DOCTOR_WARNING, "ports",
                   "nobody is told when alarms are late: set it, and scrape it with Prometheus",
                   "there is no http.listen");
    if (d->daemon != 0) {
        doctor_say(d, DOCTOR_OK, "ports", NULL, "the daemon (process %d) has them", d->daemon);
        return;
    }
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        if (d->conf->endpoints[i].bind && address_bind(d->conf->endpoints[i].address, &address, &err) == 0 &&
            address.kind == ADDRESS_TCP)
            say_port(d, d->conf->endpoints[i].name, &address);
    if (d->conf->http_listen && address_listen(d->conf->http_listen, &address, &err) == 0)
        say_port(d, "http", &address);
    if (d->told[DOCTOR_PROBLEM] == problems)
        doctor_say(d, DOCTOR_OK, "ports", NULL, "the daemon does not run, and all are free for it");
}

static bool within(const struct conf_network *inner, const struct conf_network *outer)
{
    unsigned whole = outer->bits / 8, rest = outer->bits % 8;
    if (inner->bits < outer->bits || memcmp(inner->address, outer->address, whole) != 0)
        return false;
    return rest == 0 || (inner->address[whole] ^ outer->address[whole]) >> (8 - rest) == 0;
}

/* IPAddressAllow of the unit that runs the daemon, as `systemctl show` writes it: networks with a space between. */
static bool unit_allows(char *allowed, const struct conf_network *network)
{
    char *save = NULL;
    for (char *word = strtok_r(allowed, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
        struct conf_network one;
        struct err err;
        if (address_network(word, &one, &err) == 0 && within(network, &one))
            return true;
    }
    return false;
}

static void say_networks(struct doctor *d, const char *allowed)
{
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        for (size_t j = 0; j < d->conf->endpoints[i].n_allow_from; j++) {
            char *copy = strdup(allowed);
            if (copy && !unit_allows(copy, &d->conf->endpoints[i].allow_from[j]))
                doctor_say(d, DOCTOR_PROBLEM, "unit",
                           "systemctl edit " USER ", and put it into [Service] IPAddressAllow=",
                           "allow_from of endpoint %s names a network that the unit keeps out (its number %zu)",
                           d->conf->endpoints[i].name, j + 1);
            free(copy);
        }
}

void doctor_unit(struct doctor *d)
{
    char line[4096], allowed[4096] = "", denied[4096] = "";
    unsigned problems = d->told[DOCTOR_PROBLEM];
    FILE *pipe = popen("systemctl show " USER ".service -p IPAddressAllow -p IPAddressDeny 2> /dev/null", "re");
    while (pipe && fgets(line, sizeof(line), pipe)) {
        if (strncmp(line, "IPAddressAllow=", 15) == 0)
            strcpy(allowed, line + 15);
        if (strncmp(line, "IPAddressDeny=", 14) == 0)
            strcpy(denied, line + 14);
    }
    if (!pipe || pclose(pipe) != 0) {
        doctor_say(d, DOCTOR_OK, "unit", NULL, "systemd does not run here, or not for us");
        return;
    }
    if (strspn(denied, " \n") != strlen(denied))
        say_networks(d, allowed);
    if (d->told[DOCTOR_PROBLEM] == problems)
        doctor_say(d, DOCTOR_OK, "unit", NULL, "it keeps out no network of an allow_from");
}

void doctor_supervision(struct doctor *d)
{
    unsigned warnings = d->told[DOCTOR_WARNING];
    for (size_t i = 0; i < d->conf->n_endpoints; i++) {
        const struct conf_endpoint *e = &d->conf->endpoints[i];
        if (e->format == ALERT_SIA_DC09 && e->expect_every_us == 0)
            doctor_say(d, DOCTOR_WARNING, "silence",
                       "let the portal send a test message daily, and say expect_every: 26h",
                       "endpoint %s has no expect_every: nobody notices when its line is down", e->name);
        else if (e->expect_every_us > 7 * CLOCK_DAY)
            doctor_say(d, DOCTOR_WARNING, "silence", "a day is usual towards a receiving centre",
                       "endpoint %s may be dead for %.0f days before anybody hears of it", e->name,
                       (double)e->expect_every_us / CLOCK_DAY);
    }
    if (d->told[DOCTOR_WARNING] == warnings)
        doctor_say(d, DOCTOR_OK, "silence", NULL, "no sia-dc09 endpoint is without expect_every");
}
