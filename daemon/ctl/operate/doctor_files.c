/* mobeyectl doctor: the files of the daemon, and who can read and change them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "ctl/lib/connect.h"
#include "ctl/operate/doctor.h"

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

/* Or replace: in a directory with the sticky bit users replace only what is theirs. */
static bool may_change(const struct stat *st, const struct passwd *user)
{
    bool is_sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
    return st->st_uid == user->pw_uid || (!is_sticky && may(st, user, S_IWOTH));
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

/* Finds the file, or a directory above it, that the user can change. */
static bool find_changeable(const struct passwd *user, const char *path, char ret[PATH_MAX])
{
    struct stat st;
    bool found = false;
    for (const char *end = path; !found && end;) {
        end = strchr(end + 1, '/');
        snprintf(ret, PATH_MAX, "%.*s", (int)(end ? (size_t)(end - path) : strlen(path)), path);
        found = stat(ret, &st) == 0 && may_change(&st, user);
    }
    return found;
}

/* Whether the user can change the configuration or replace it, and have root go to a server of their choice. */
static bool say_changeable(struct doctor *d, const struct passwd *user, const char *path)
{
    char changeable[PATH_MAX];
    char *linked = realpath(path, NULL);
    bool can =
        user && (find_changeable(user, path, changeable) || (linked && find_changeable(user, linked, changeable)));
    if (can && (strcmp(changeable, path) == 0 || (linked && strcmp(changeable, linked) == 0)))
        doctor_say(d, DOCTOR_PROBLEM, "files", advise_group(d, changeable, ""),
                   "the user " CONNECT_DAEMON_USER " can change %s, which leads root", changeable);
    else if (can)
        doctor_say(
            d, DOCTOR_PROBLEM, "files",
            doctor_advise(d, "chown root:" CONNECT_DAEMON_USER " %s && chmod 0750 %s, or move the file to /etc/%s",
                          changeable, changeable, CONNECT_DAEMON_USER),
            "the user " CONNECT_DAEMON_USER " can change %s, and so replace %s, which leads root", changeable, path);
    free(linked);
    return can;
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
    else if (say_changeable(d, user, path))
        return;
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
