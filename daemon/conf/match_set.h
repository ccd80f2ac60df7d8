/*
 * Matches as sets of alerts.
 */
#ifndef MOBEYE_CONF_MATCH_SET_H
#define MOBEYE_CONF_MATCH_SET_H

#include "conf/conf.h"

/* Every kind; what a match without kinds matches. */
#define MATCH_KINDS_ALL ((1u << KIND_COUNT) - 1)

/* The kinds of a match as bits, MATCH_KINDS_ALL where none are given. */
uint32_t match_kinds(const struct conf_match *match);

/* Whether wide matches every alert that narrow matches, both of one kind that each of them has. true is certain; false
 * may also mean that it is hard to tell. conf has no errors. */
bool match_covers(const struct conf *conf, const struct conf_match *wide, const struct conf_match *narrow);

/* Whether the globs have nothing that varies, and there is just one of them. */
bool match_is_one_device(const struct conf_match *match);

#endif
