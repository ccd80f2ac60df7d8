/* mobeyectl doctor: clock, files, descriptors, ports, the unit, and supervision as configured in the file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/secret.h"
#include "ctl/lib/allowed_network.h"
#include "ctl/lib/connect.h"
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

/* Whether the mode of the file grants the user what `wanted` (S_IROTH, S_IXOTH) grants others. */
static bool may(const struct stat *st, const struct passwd *user, mode_t wanted)
{
    gid_t groups[64];
    int n = 64;
    if (st->st_uid == user->pw_uid)
        return st->st_mode & wanted << 6;
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
        n = 64;
    for (int i = 0; i < n; i++)
        if (groups[i] == st->st_gid)
            return st->st_mode & wanted << 3;
    return st->st_mode & wanted;
}

/* For a directory: files in it are listed, created and removed. */
static bool may_use(const struct stat *st, const struct passwd *user)
{
    return may(st, user, S_IROTH) && may(st, user, S_IWOTH) && may(st, user, S_IXOTH);
}

static bool runs_as_another(const struct doctor *d, const struct passwd *user)
{
    struct stat st;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d", d->daemon);
    return strcmp(user->pw_name, CONNECT_DAEMON_USER) == 0 && d->daemon != 0 && stat(path, &st) == 0 &&
           st.st_uid != user->pw_uid;
}

static bool can_enter(struct doctor *d, const struct passwd *user, const char *path)
{
    struct stat st;
    char directory[PATH_MAX];
    for (const char *end = strchr(path + 1, '/'); end && end - path < PATH_MAX; end = strchr(end + 1, '/')) {
        snprintf(directory, sizeof(directory), "%.*s", (int)(end - path), path);
        if (stat(directory, &st) < 0 || may(&st, user, S_IXOTH))
            continue;
        if (strcmp(d->closed_directory, directory) == 0)
            return false;
        snprintf(d->closed_directory, sizeof(d->closed_directory), "%s", directory);
        doctor_say(d, DOCTOR_PROBLEM, "files",
                   doctor_advise(d, "chgrp %s %s && chmod 0750 %s", user->pw_name, directory, directory),
                   "the user %s cannot enter %s", user->pw_name, directory);
        return false;
    }
    return true;
}

bool doctor_can_enter(struct doctor *d, const struct passwd *user, const char *path)
{
    if (!user || runs_as_another(d, user))
        return true;
    char *linked = realpath(path, NULL);
    bool can = can_enter(d, user, path) && (!linked || can_enter(d, user, linked));
    free(linked);
    return can;
}

enum { OWNER_SIZE = 64 };

static char *owner_of(const struct stat *st, char out[OWNER_SIZE])
{
    char bytes[1024];
    struct passwd owner, *found = NULL;
    if (getpwuid_r(st->st_uid, &owner, bytes, sizeof(bytes), &found) == 0 && found)
        snprintf(out, OWNER_SIZE, "%s", found->pw_name);
    else
        snprintf(out, OWNER_SIZE, "user %u", st->st_uid);
    return out;
}

/* user: who has to read it, NULL: unknown. */
static void say_secret(struct doctor *d, const struct passwd *user, const char *what, const char *path)
{
    struct stat st;
    char owner[OWNER_SIZE];
    if (strncmp(path, SECRET_CREDENTIAL, strlen(SECRET_CREDENTIAL)) == 0)
        return; /* systemd protects credentials */
    if (!doctor_can_enter(d, user, path))
        return;
    if (stat(path, &st) < 0) {
        if (!doctor_needs_root(d, "files", path))
            doctor_say(d, DOCTOR_PROBLEM, "files", "check the name in the configuration", "%s %s: %s", what, path,
                       strerror(errno));
    } else if (user && st.st_uid != user->pw_uid)
        doctor_say(d, DOCTOR_PROBLEM, "files",
                   doctor_advise(d, "chown " CONNECT_DAEMON_USER ": %s && chmod 0600 %s", path, path),
                   "%s %s belongs to %s, the daemon runs as " CONNECT_DAEMON_USER, what, path, owner_of(&st, owner));
    else if (st.st_mode & 077)
        doctor_say(d, DOCTOR_PROBLEM, "files",
                   doctor_advise(d, "chmod 0600 %s  # only its owner may have access", path), "%s %s has mode %04o",
                   what, path, st.st_mode & 07777);
    else
        doctor_say(d, DOCTOR_OK, "files", NULL, "%s %s is accessible to its owner only", what, path);
}

/* Checks password and passfile of the conninfo; libpq ignores a passfile that others may read. That of --db is not the
 * daemon's. */
static bool has_password(struct doctor *d, const struct passwd *user)
{
    bool password = false, daemons = d->conninfo == d->conf->database.conninfo;
    PQconninfoOption *options = PQconninfoParse(d->conninfo, NULL);
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        if (!o->val)
            continue;
        password |= strcmp(o->keyword, "password") == 0;
        if (strcmp(o->keyword, "passfile") == 0 && strncmp(o->val, "/run/credentials/", 17) != 0)
            say_secret(d, daemons ? user : NULL, "the password file", o->val);
    }
    PQconninfoFree(options);
    return password;
}

/* The advice for a file that root writes and the daemon reads. more: appended to it. */
static const char *advise_group(struct doctor *d, const char *path, const char *more)
{
    return doctor_advise(d, "chown root:" CONNECT_DAEMON_USER " %s && chmod 0640 %s%s", path, path, more);
}

static void say_file(struct doctor *d, const struct passwd *user)
{
    struct stat st;
    const char *path = d->conf->file;
    bool secret = has_password(d, user);
    if (!doctor_can_enter(d, user, path))
        return;
    if (stat(path, &st) < 0)
        doctor_say(d, DOCTOR_PROBLEM, "files", "check its directory", "%s: %s", path, strerror(errno));
    else if (user && !may(&st, user, S_IROTH))
        doctor_say(d, DOCTOR_PROBLEM, "files", advise_group(d, path, ""),
                   "the user " CONNECT_DAEMON_USER " cannot read %s", path);
    else if (user && (st.st_uid == user->pw_uid || st.st_mode & S_IWGRP))
        doctor_say(d, DOCTOR_PROBLEM, "files", advise_group(d, path, ""),
                   "the user " CONNECT_DAEMON_USER " can change %s, which leads root", path);
    else if (st.st_mode & S_IWOTH || (secret && st.st_mode & S_IROTH))
        doctor_say(d, DOCTOR_PROBLEM, "files",
                   advise_group(d, path, secret ? "  # passwords belong in a passfile" : ""), "%s has mode %04o%s",
                   path, st.st_mode & 07777, secret ? " and a password in it" : "");
    else if (st.st_mode & S_IROTH)
        doctor_say(d, DOCTOR_WARNING, "files", advise_group(d, path, ""), "%s is readable by everybody", path);
    else
        doctor_say(d, DOCTOR_OK, "files", NULL, "%s has mode %04o", path, st.st_mode & 07777);
}

/* Changes to it are read at a reload only, long after its owner was changed. */
static void say_clients(struct doctor *d, const struct passwd *user)
{
    struct stat st;
    const char *path = d->conf->security.clients;
    if (path && user && doctor_can_enter(d, user, path) && stat(path, &st) == 0 && !may(&st, user, S_IROTH))
        doctor_say(d, DOCTOR_PROBLEM, "files", advise_group(d, path, ""),
                   "the user " CONNECT_DAEMON_USER " cannot read %s", path);
}

/* Finds a file in the journal's directory, or the directory, that does not belong to the user. */
static bool find_foreign(const char *directory, const struct passwd *user, char ret[PATH_MAX], struct stat *ret_st)
{
    struct stat st = {0};
    bool found = stat(directory, &st) == 0 && st.st_uid != user->pw_uid;
    snprintf(ret, PATH_MAX, "%s", directory);
    DIR *dir = found ? NULL : opendir(directory);
    for (struct dirent *entry; !found && dir && (entry = readdir(dir));)
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_uid != user->pw_uid) {
            found = true;
            snprintf(ret, PATH_MAX, "%s/%s", directory, entry->d_name);
        }
    if (dir)
        closedir(dir);
    *ret_st = st;
    return found;
}

static void say_foreign(struct doctor *d, const char *path, const struct stat *st)
{
    char owner[OWNER_SIZE];
    /* A daemon that runs with it is that of another user, as in a trial. */
    doctor_say(d, d->daemon != 0 ? DOCTOR_WARNING : DOCTOR_PROBLEM, "files",
               doctor_advise(d, "chown -R " CONNECT_DAEMON_USER ": %s", d->conf->journal.directory),
               "%s belongs to %s, the daemon runs as " CONNECT_DAEMON_USER, path, owner_of(st, owner));
}

static void say_journal(struct doctor *d, const struct passwd *user)
{
    struct stat st, st_foreign;
    char foreign[PATH_MAX];
    const char *path = d->conf->journal.directory;
    if (!doctor_can_enter(d, user, path))
        return;
    if (stat(path, &st) < 0 && doctor_needs_root(d, "files", path))
        return;
    if (stat(path, &st) < 0)
        doctor_say(d, errno == ENOENT ? DOCTOR_WARNING : DOCTOR_PROBLEM, "files",
                   errno == ENOENT ? "the daemon creates it when it first starts" : "check its directories", "%s: %s",
                   path, strerror(errno));
    else if (st.st_mode & 07)
        doctor_say(d, DOCTOR_PROBLEM, "files", doctor_advise(d, "chmod 0750 %s  # it contains alarms of homes", path),
                   "%s has mode %04o", path, st.st_mode & 07777);
    else if (user && find_foreign(path, user, foreign, &st_foreign))
        say_foreign(d, foreign, &st_foreign);
    else if (user && !runs_as_another(d, user) && !may_use(&st, user))
        doctor_say(d, DOCTOR_PROBLEM, "files", doctor_advise(d, "chmod 0700 %s", path),
                   "the user " CONNECT_DAEMON_USER " cannot use %s, which has mode %04o", path, st.st_mode & 07777);
    else
        doctor_say(d, DOCTOR_OK, "files", NULL, "%s has mode %04o", path, st.st_mode & 07777);
}

void doctor_files(struct doctor *d)
{
    const struct passwd *user = getpwnam(CONNECT_DAEMON_USER);
    if (!user)
        doctor_say(d, DOCTOR_WARNING, "files", "run systemd-sysusers, which creates it from the package's mobeyed.conf",
                   "the user " CONNECT_DAEMON_USER " does not exist");
    say_file(d, user);
    say_journal(d, user);
    say_clients(d, user);
    if (d->conf->security.server_key)
        say_secret(d, user, "the daemon's key", d->conf->security.server_key);
    for (size_t i = 0; i < d->conf->n_endpoints; i++)
        if (d->conf->endpoints[i].dc09_keys)
            say_secret(d, user, "the key file", d->conf->endpoints[i].dc09_keys);
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
