/*
 * The database server to which a program connects with a password that mobeyectl setup gave its role.
 */
#ifndef MOBEYE_CTL_SETUP_PASSWORD_SERVER_H
#define MOBEYE_CTL_SETUP_PASSWORD_SERVER_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"

struct password_server {
    const char *host, *port;
    char *sslmode;       /* NULL: that of libpq */
    char *sslrootcert;   /* NULL: that of libpq */
    bool sslmode_chosen; /* sslmode is set neither in the superuser's conninfo nor in the environment */
};

/* The server of the superuser's connection, over TCP, where passwords apply, and verified in the same way; if nothing
 * says how to verify a server on another machine, it must have a valid certificate. conn must outlive ret. */
void password_server_find(struct password_server *ret, const PGconn *conn, const char *admin);

/* Appends the conninfo of a role, with a NUL. */
void password_server_conninfo(const struct password_server *server, const char *database, const char *role,
                              const char *passfile, struct buf *out);

/* Whether that function may have written the conninfo: it contains what that function writes with this passfile, in the
 * same order, and nothing else. */
bool password_server_wrote(const char *conninfo, const char *passfile);

/* Appends the beginning of the role's line in the passfile, up to the password, with a NUL. */
void password_server_line(const struct password_server *server, const char *role, struct buf *out);

void password_server_free(struct password_server *server);

#endif
