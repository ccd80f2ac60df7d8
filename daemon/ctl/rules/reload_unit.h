/*
 * Reloads the daemon of a systemd unit and finds out whether it has applied its configuration.
 */
#ifndef MOBEYE_CTL_RULES_RELOAD_UNIT_H
#define MOBEYE_CTL_RULES_RELOAD_UNIT_H

enum reload_result {
    RELOAD_APPLIED,
    RELOAD_UNKNOWN, /* nothing to reload, not running, or without metrics to know it by; the reason is printed */
    RELOAD_REFUSED_BY_CHECK,  /* the unit's check refused the file, so the daemon was not asked to read it */
    RELOAD_REFUSED_BY_DAEMON, /* the daemon refused it, or has not applied it within 15 s */
};

/* unit: "none" reloads nothing. listen: http.listen of the running daemon, or NULL. */
enum reload_result reload_unit(const char *unit, const char *listen);

#endif
