/*
 * Teams that rules name but nobody has registered: such incidents get the team of their place.
 */
#ifndef MOBEYE_CTL_LIB_RULE_TEAM_H
#define MOBEYE_CTL_LIB_RULE_TEAM_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Appends "rule X names team Y, which does not exist (did you mean Z?)". Appends nothing if the team exists, if it is
 * empty, and if the role may not read the teams. */
void rule_team_check(PGconn *conn, struct str rule, struct str team, struct buf *out);

/* Prints that on stderr for each rule that creates incidents. */
void rule_team_warn(const char *verb, PGconn *conn, const struct conf *conf);

#endif
