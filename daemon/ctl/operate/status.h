/*
 * What mobeyectl status has collected, for the screen and for JSON.
 */
#ifndef MOBEYE_CTL_OPERATE_STATUS_H
#define MOBEYE_CTL_OPERATE_STATUS_H

#include "conf/conf.h"
#include "ctl/lib/scrape.h"
#include "ctl/operate/status_db.h"
#include "ctl/operate/status_programs.h"
#include "ctl/operate/status_watch.h"

struct status {
    const struct conf *conf; /* NULL: the file cannot be read */

    bool daemon_up;
    bool ready; /* it accepts alerts; false: not, for the reason not_ready */
    struct buf not_ready;
    struct err daemon_err;
    struct scrape before, after;
    double disk_free; /* bytes on the disk of the journal; NAN: this user may not see it */
    double now_s;     /* wall time of the second scrape, or of its failure */

    struct status_db db;
    struct status_watches watches;
    struct status_program frigate, board;
};

/* A metric of the daemon, in the second scrape. */
double status_value(const struct status *s, const char *name);

/* How much a counter rose in a second between the scrapes; of one endpoint, or of all (NULL). */
double status_rate(const struct status *s, const char *name, const struct str *endpoint);

/* Unix time of the last message of the endpoint, from the metrics or the database; 0 or NAN: none. */
double status_last_message(const struct status *s, struct str endpoint);

/* How many bytes of alerts that are not stored yet fit into the journal: journal.max_size, or less if the disk is
 * smaller. */
double status_journal_limit(const struct status *s);

/* Seconds until the journal is full, at the rate since the database went away, or else of the last second. NAN:
 * never. */
double status_full_in_s(const struct status *s);

/* The daemon answers, accepts alerts and is connected to its database, which can be reached from here too. */
bool status_all_is_up(const struct status *s);

void status_print_json(const struct status *s);

#endif
