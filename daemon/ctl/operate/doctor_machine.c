/* mobeyectl doctor: clock, descriptors, ports, the unit, and supervision as configured in the file. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "ctl/lib/allowed_network.h"
#include "ctl/lib/scrape.h"
#include "ctl/lib/unit.h"
#include "ctl/operate/doctor.h"

void doctor_clock(struct doctor *d)
{
    struct timex now = {0};
    int state = adjtimex(&now);
    if (state < 0)
        doctor_say(d, DOCTOR_WARNING, "clock", "see timedatectl",
                   "cannot determine whether the clock is synchronised (%s)", strerror(errno));
    else if (state == TIME_ERROR || (now.status & STA_UNSYNC))
        doctor_say(d, DOCTOR_WARNING, "clock", "run systemd-timesyncd or chrony; the times of alerts depend on it",
                   "not synchronised");
    else
        doctor_say(d, DOCTOR_OK, "clock", NULL, "synchronised, off by at most %ld ms", now.maxerror / 1000);
}

/* The soft limit of a process; -1: unknown. */
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
    if (d->daemon == 0 && d->answers) {
        doctor_say(d, DOCTOR_OK, "descriptors", NULL, "not checked: only root can read the limit of the daemon");
        return;
    }
    if (d->daemon == 0) {
        doctor_say(d, DOCTOR_OK, "descriptors", NULL, "the daemon is not running; it will need at least %ld", needed);
        return;
    }
    long limit = descriptor_limit(d->daemon);
    if (limit < 0)
        doctor_say(d, DOCTOR_WARNING, "descriptors", "run doctor as root", "the limit of process %d cannot be read",
                   d->daemon);
    else if (limit < needed)
        doctor_say(d, DOCTOR_PROBLEM, "descriptors", "raise LimitNOFILE of the unit (65536) and restart",
                   "the daemon may open %ld, but up to %ld may be needed", limit, needed);
    else
        doctor_say(d, DOCTOR_OK, "descriptors", NULL, "the daemon may open %ld; up to %ld may be needed", limit,
                   needed);
}

/* 0: free, or unknown, since the host is an interface. Otherwise an errno. */
static int try_bind(const struct address *address)
{
    struct sockaddr_storage at;
    socklen_t len = address_to_socket(address, &at);
    if (len == 0)
        return 0;
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) /* libzmq binds * over IPv4 where the kernel has no IPv6 */
        return strcmp(address->host, "*") == 0 && errno == EAFNOSUPPORT ? 0 : errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); /* ignores old connections of the daemon */
    int result = bind(fd, (const struct sockaddr *)&at, len) < 0 || listen(fd, 1) < 0 ? errno : 0;
    close(fd);
    return result;
}

static bool has_open(pid_t process, unsigned long inode)
{
    char path[64], wanted[64], target[64];
    bool has = false;
    snprintf(path, sizeof(path), "/proc/%d/fd", process);
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && !has && (entry = readdir(dir));) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        has = len > 0 && strncmp(target, wanted, (size_t)len) == 0 && wanted[len] == '\0';
    }
    if (dir)
        closedir(dir);
    return has;
}

/* Whether the process listens at this port, by its /proc; protocol: "tcp" or "tcp6". */
static bool listens(pid_t process, const char *protocol, int port)
{
    enum { LISTEN = 10 };
    char path[64], line[512];
    bool does = false;
    snprintf(path, sizeof(path), "/proc/%d/net/%s", process, protocol);
    FILE *table = fopen(path, "re");
    while (table && !does && fgets(line, sizeof(line), table)) {
        unsigned at, state;
        unsigned long inode;
        does = sscanf(line, "%*d: %*[^:]:%x %*s %x %*s %*s %*s %*s %*s %lu", &at, &state, &inode) == 3 &&
               state == LISTEN && at == (unsigned)port && has_open(process, inode);
    }
    if (table)
        fclose(table);
    return does;
}

/* Returns whether the daemon has the port. */
static bool say_port(struct doctor *d, const char *what, const struct address *address)
{
    int why = try_bind(address);
    if (why == 0)
        return false;
    if (d->daemon > 0 && (listens(d->daemon, "tcp", address->port) || listens(d->daemon, "tcp6", address->port)))
        return true;
    const char *advice = why == EADDRINUSE      ? "ss -ltnp shows the process that uses it"
                         : why == EADDRNOTAVAIL ? "no interface of this machine has that address"
                         : why == EACCES
                             ? "ports below 1024 require CAP_NET_BIND_SERVICE, which the unit does not grant"
                             : "check the address";
    doctor_say(d, DOCTOR_PROBLEM, "ports", advice, "%s cannot bind %s port %d (%s)", what, address->host, address->port,
               strerror(why));
    return false;
}

/* For how long the daemon has had no database session; 0: it has one. */
static double disconnected_s(const struct doctor *d)
{
    double since_s = scrape_value(&d->metrics, "database_changed_timestamp_seconds", NULL);
    if (scrape_value(&d->metrics, "database_up", NULL) == 1)
        return 0;
    return (double)time(NULL) - (since_s > 0 ? since_s : scrape_value(&d->metrics, "start_timestamp_seconds", NULL));
}

/* What the daemon says about itself: it may be unable to store for reasons that nothing else here shows. */
void doctor_backlog(struct doctor *d)
{
    if (!d->answers)
        return;
    double waiting = scrape_value(&d->metrics, "journal_pending", NULL),
           lag_s = scrape_value(&d->metrics, "commit_lag_seconds", NULL);
    double down_s = disconnected_s(d);
    bool up = down_s == 0;
    if (waiting > 0 && lag_s > (up ? 60 : 5))
        doctor_say(d, DOCTOR_PROBLEM, "backlog",
                   "see its log, and in pg_stat_activity whether a session holds a lock for which it waits",
                   "%.0f alert%s waiting in the journal of the daemon, the oldest for %.0f s%s", waiting,
                   waiting == 1 ? " is" : "s are", lag_s, up ? "" : "; it has no session on the database");
    else if (down_s > 5 && d->conn)
        doctor_say(
            d, DOCTOR_PROBLEM, "backlog",
            doctor_advise(d,
                          "to make it read its file again: systemctl reload %s; journalctl -u %s -p warning gives "
                          "the reason",
                          d->unit, d->unit),
            "the daemon has had no session on the database for %.0f s%s", down_s,
            d->own == d->conn ? "" : ", to which this program can connect");
    else
        doctor_say(d, DOCTOR_OK, "backlog", NULL, "the daemon stores what it receives");
}

/* It binds http.listen last. Without that, only its open files are known. */
static bool say_in_use(struct doctor *d)
{
    if (!d->answers && (d->daemon == 0 || d->conf->http_listen))
        return false;
    if (d->daemon != 0)
        doctor_say(d, DOCTOR_OK, "ports", NULL, "in use by the daemon (process %d)", d->daemon);
    else
        doctor_say(d, DOCTOR_OK, "ports", NULL, "in use by the daemon");
    return true;
}

void doctor_ports(struct doctor *d)
{
    struct address address;
    struct err err;
    unsigned problems = d->printed[DOCTOR_PROBLEM];
    bool has = false;
    if (!d->conf->http_listen)
        doctor_say(d, DOCTOR_WARNING, "ports",
                   "without metrics nobody notices when alarms are late: set it, and scrape it with Prometheus",
                   "http.listen is not set");
    if (say_in_use(d))
        return;
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        if (d->conf->endpoints[i].bind && address_bind(d->conf->endpoints[i].address, &address, &err) == 0 &&
            address.kind == ADDRESS_TCP)
            has |= say_port(d, d->conf->endpoints[i].name, &address);
    if (d->conf->http_listen && address_listen(d->conf->http_listen, &address, &err) == 0)
        has |= say_port(d, "http", &address);
    if (d->printed[DOCTOR_PROBLEM] == problems && has)
        doctor_say(d, DOCTOR_OK, "ports", NULL, "in use by the daemon (process %d), but not all of them", d->daemon);
    else if (d->printed[DOCTOR_PROBLEM] == problems)
        doctor_say(d, DOCTOR_OK, "ports", NULL, "all ports of the configuration are free");
}

static void say_networks(struct doctor *d, const char *allowed, const char *denied)
{
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        for (size_t j = 0; j < d->conf->endpoints[i].n_allow_from; j++)
            if (allowed_network(denied, &d->conf->endpoints[i].allow_from[j]) &&
                !allowed_network(allowed, &d->conf->endpoints[i].allow_from[j]))
                doctor_say(d, DOCTOR_PROBLEM, "unit",
                           doctor_advise(d, "systemctl edit %s, and add it to IPAddressAllow= in [Service]", d->unit),
                           "allow_from of endpoint %s has a network that the unit blocks (entry %zu)",
                           d->conf->endpoints[i].name, j + 1);
}

/* The daemon's own attempts time out; this program, outside of the unit, connects. */
static void say_database_blocked(struct doctor *d)
{
    const char *address = d->conninfo == d->conf->database.conninfo ? PQhostaddr(d->conn) : NULL;
    if (allowed_network_blocks(d->unit, address))
        doctor_say(d, DOCTOR_PROBLEM, "unit",
                   doctor_advise(d, "systemctl edit %s, [Service], IPAddressAllow=%s; then systemctl restart %s",
                                 d->unit, address, d->unit),
                   "the unit blocks the database at %s", address);
}

void doctor_unit(struct doctor *d)
{
    unsigned problems = d->printed[DOCTOR_PROBLEM];
    char *allowed = ctl_unit_property(d->unit, "IPAddressAllow"), *denied = ctl_unit_property(d->unit, "IPAddressDeny");
    if (allowed && denied)
        say_networks(d, allowed, denied);
    say_database_blocked(d);
    if (!allowed || !denied)
        doctor_say(d, DOCTOR_OK, "unit", NULL, "not checked: systemd is not running, or not accessible");
    else if (d->printed[DOCTOR_PROBLEM] == problems)
        doctor_say(d, DOCTOR_OK, "unit", NULL, "neither a network of allow_from nor the database is blocked");
    free(allowed);
    free(denied);
}

void doctor_supervision(struct doctor *d)
{
    unsigned warnings = d->printed[DOCTOR_WARNING];
    for (size_t i = 0; i < d->conf->n_endpoints; i++) {
        const struct conf_endpoint *e = &d->conf->endpoints[i];
        if (e->format == ALERT_SIA_DC09 && e->expect_every_us == 0)
            doctor_say(d, DOCTOR_WARNING, "silence",
                       "have the portal send a test message daily, and set expect_every: 26h",
                       "endpoint %s has no expect_every: nobody notices when its line is down", e->name);
        else if (e->expect_every_us > 7 * CLOCK_DAY)
            doctor_say(d, DOCTOR_WARNING, "silence", "one day is usual for a receiving centre",
                       "endpoint %s may be down for %.0f days before it is reported", e->name,
                       (double)e->expect_every_us / CLOCK_DAY);
    }
    if (d->printed[DOCTOR_WARNING] == warnings)
        doctor_say(d, DOCTOR_OK, "silence", NULL, "every sia-dc09 endpoint has expect_every");
}
