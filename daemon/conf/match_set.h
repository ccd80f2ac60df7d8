/*
 * The match conditions of rules, seen as sets of alerts.
 */
#ifndef MOBEYE_CONF_MATCH_SET_H
#define MOBEYE_CONF_MATCH_SET_H

#include "conf/conf.h"

/* All kinds: what a match without kinds matches. */
#define MATCH_KINDS_ALL ((1u << KIND_COUNT) - 1)

/* The kinds of a match as bits; MATCH_KINDS_ALL if none are given. */
uint32_t match_kinds(const struct conf_match *match);

/* Whether wide matches every alert that narrow matches, among alerts of a kind that both match. true is certain; false
 * may also mean undecided. conf must have no errors. */
bool match_covers(const struct conf *conf, const struct conf_match *wide, const struct conf_match *narrow);

/* Whether the match names exactly one device, without wildcards. */
bool match_is_one_device(const struct conf_match *match);

#endif
