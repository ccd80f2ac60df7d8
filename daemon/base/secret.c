#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum { LINE_FILE_MAX = 1024 };

static bool is_credential(const char *source)
{
    return strncmp(source, SECRET_CREDENTIAL, sizeof(SECRET_CREDENTIAL) - 1) == 0;
}

/* The path of the source. */
static int resolve_path(const char *source, char path[PATH_MAX], struct err *err)
{
    const char *name = source + sizeof(SECRET_CREDENTIAL) - 1, *directory = getenv("CREDENTIALS_DIRECTORY");
    bool credential = is_credential(source);
    if (credential && !directory)
        return err_set(
            err, "%s: systemd passes no credentials to this process (expected LoadCredential=%s:FILE in the unit)",
            source, name);
    int len = credential ? snprintf(path, PATH_MAX, "%s/%s", directory, name) : snprintf(path, PATH_MAX, "%s", source);
    return len < PATH_MAX ? 0 : err_set(err, "%s: %s", source, strerror(ENAMETOOLONG));
}

static int check_rights(const char *source, const struct stat *st, struct err *err)
{
    uid_t user = geteuid();
    if (is_credential(source))
        return 0;
    if (st->st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, "%s: mode %04o gives other users access (expected 0600 or 0400)", source,
                       (unsigned)(st->st_mode & 07777));
    if (user != 0 && st->st_uid != 0 && st->st_uid != user)
        return err_set(err, "%s: owned by user %u (expected root or user %u, which reads it)", source,
                       (unsigned)st->st_uid, (unsigned)user);
    return 0;
}

int secret_read(const char *source, size_t max_bytes, struct buf *ret, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int rc = -1;
    if (resolve_path(source, path, err) != 0)
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, "%s: %s", source, strerror(errno));
    if (fstat(fd, &st) != 0)
        err_set(err, "%s: %s", source, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err_set(err, "%s: is not a regular file", source);
    else if ((size_t)st.st_size > max_bytes)
        err_set(err, "%s: is too large (expected at most %zu bytes)", source, max_bytes);
    else if (check_rights(source, &st, err) == 0)
        rc = file_read(fd, max_bytes, ret) == 0 ? 0 : err_set(err, "%s: %s", source, strerror(errno));
    close(fd);
    return rc;
}

int secret_read_line(const char *source, char **ret, struct err *err)
{
    struct buf text = {0};
    int rc = secret_read(source, LINE_FILE_MAX, &text, err);
    size_t len = 0;
    while (rc == 0 && len < text.len && !strchr("\r\n", text.data[len]))
        len++;
    if (rc == 0 && len == 0)
        rc = err_set(err, "%s: the first line is empty", source);
    if (rc == 0)
        *ret = mem_strndup(text.data, len);
    secret_free(&text);
    return rc;
}

bool secret_out_of_reach(const char *source)
{
    char path[PATH_MAX];
    return is_credential(source) && (resolve_path(source, path, NULL) != 0 || access(path, F_OK) != 0);
}

void secret_free(struct buf *secret)
{
    if (secret->data)
        explicit_bzero(secret->data, secret->len);
    buf_free(secret);
}

void secret_free_text(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}
