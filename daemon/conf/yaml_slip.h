/*
 * What is probably wrong in a text that libyaml cannot parse. Its own message names the place where it noticed, which
 * may be many lines after the mistake: here the lines are read as a person writes them, one key or item on each. Pure.
 */
#ifndef MOBEYE_CONF_YAML_SLIP_H
#define MOBEYE_CONF_YAML_SLIP_H

#include "base/buf.h"
#include "conf/conf.h"

struct yaml_slip {
    struct source_pos pos;
    char what[160]; /* "quote is not closed (expected ...)" */
};

/* Finds the first one up to and including the line; false: none. */
bool yaml_slip_find(struct str text, size_t last_line, struct yaml_slip *ret);

/* A character that looks like an ordinary one, at the start of UTF-8 text: a no-break space or the like, which YAML
 * takes for text. *ret_len: its length. NULL: it is not one. */
const char *yaml_slip_space(const char *text, size_t len, size_t *ret_len);

/* The length of a typographic quote at the start of UTF-8 text; 0: it is not one. */
size_t yaml_slip_quote(const char *text, size_t len);

#endif
