/*
 * What mobeyectl watch sends instead of the event: a template whose {{name}} is replaced by the value of that name in
 * the event's data, or by one of
 *
 *   {{change_id}} {{incident_id}} {{op}} {{status}} {{priority}} {{category}} and the names of --include
 *   {{urgency}}   5 for priority 1, ... 1 for priority 5
 *   {{state}}     "close" if the incident is closed, otherwise "open"
 *
 * A template is a message: header fields, an empty line and the body. A webhook gets the fields as those of its
 * request, a command gets the whole message. A value is written as the inside of a JSON string if the field
 * Content-Type is JSON, otherwise as plain text; control characters in plain text become spaces.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_TEMPLATE_H
#define MOBEYE_CTL_OPERATE_WATCH_TEMPLATE_H

#include "base/buf.h"
#include "base/err.h"

struct watch_template;

/* Reads the file. include: the names of --include, separated by commas, or NULL. NULL with err set: it cannot be read,
 * has no empty line, or has a name that no event has. */
struct watch_template *watch_template_read(const char *file, const char *include, struct err *err);
void watch_template_free(struct watch_template **ret); /* safe on NULL */

/* Appends the header fields, one per line, and the body, for the event (a JSON document of CHANGES_SQL). A name that
 * the event does not have, such as that of a dead letter of another watch, becomes nothing. -1 with err set: it is not
 * an event. */
int watch_template_fill(const struct watch_template *t, struct str event, struct buf *ret_fields, struct buf *ret_body,
                        struct err *err);

#endif
