/*
 * What is probably wrong in a text that libyaml cannot parse. Its own message names the place where it noticed the
 * mistake, which may be many lines further on: here the lines are read as people write them, with one key or item on
 * each. Pure.
 */
#ifndef MOBEYE_CONF_YAML_SLIP_H
#define MOBEYE_CONF_YAML_SLIP_H

#include "base/buf.h"
#include "conf/conf.h"

struct yaml_slip {
    struct source_pos pos;
    char what[160]; /* "quote is not closed (expected ...)" */
};

/* Finds the first mistake up to and including the line; false: none. */
bool yaml_slip_find(struct str text, size_t last_line, struct yaml_slip *ret);

/* The name of a character that looks like an ordinary one at the start of UTF-8 text, such as a no-break space, which
 * YAML takes for text. *ret_len: its length. NULL: none. */
const char *yaml_slip_space(const char *text, size_t len, size_t *ret_len);

/* The length of a typographic quote at the start of UTF-8 text; 0: none. */
size_t yaml_slip_quote(const char *text, size_t len);

#endif
