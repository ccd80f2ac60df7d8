/*
 * Reloads the daemon of a systemd unit and finds out whether it has applied its configuration.
 */
#ifndef MOBEYE_CTL_RULES_RELOAD_UNIT_H
#define MOBEYE_CTL_RULES_RELOAD_UNIT_H

#include <stdbool.h>

enum reload_result {
    RELOAD_APPLIED,
    RELOAD_NONE,    /* nothing to reload, or not running, which is printed */
    RELOAD_UNSEEN,  /* reloaded, and neither metrics nor systemd know the result, which is printed */
    RELOAD_REFUSED, /* by the unit's check or by the daemon, or the daemon has not applied the file within 15 s */
};

/* unit: "none" reloads nothing. listen: http.listen of the running daemon, or NULL. again: the previous reload was
 * refused, which may show only now. */
enum reload_result reload_unit(const char *unit, const char *listen, bool again);

#endif
