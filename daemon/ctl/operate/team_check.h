/*
 * The option --team of the verbs that show or deliver incidents.
 */
#ifndef MOBEYE_CTL_OPERATE_TEAM_CHECK_H
#define MOBEYE_CTL_OPERATE_TEAM_CHECK_H

#include <libpq-fe.h>

/* CTL_GO if the team exists, or is NULL. CTL_USAGE after printing that it does not, with the most similar one that
 * does; CTL_FAILED after printing that the teams cannot be read. */
int team_check(const char *verb, PGconn *conn, const char *team);

#endif
