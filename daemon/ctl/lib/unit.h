/*
 * The units of systemd.
 */
#ifndef MOBEYE_CTL_LIB_UNIT_H
#define MOBEYE_CTL_LIB_UNIT_H

/* Runs systemctl; words[0] is "systemctl" and the last one is NULL. Returns its exit status; -1: it could not be run.
 */
int ctl_systemctl(const char *const *words);

/* A property of the unit as systemctl show prints it, a list of files with one per line, "" if it is empty. NULL:
 * systemd is not running, or not accessible. The caller frees it. */
char *ctl_unit_property(const char *unit, const char *property);

#endif
