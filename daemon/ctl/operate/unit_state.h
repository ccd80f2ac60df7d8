/*
 * What systemd says of a unit.
 */
#ifndef MOBEYE_CTL_OPERATE_UNIT_STATE_H
#define MOBEYE_CTL_OPERATE_UNIT_STATE_H

enum unit_state {
    UNIT_OFF,  /* is not meant to run, or is not there */
    UNIT_DOWN, /* is meant to run, and does not: it is enabled, or systemd starts it again and again */
    UNIT_RUNS,
};

enum unit_state unit_state(const char *unit);

/* The state of the daemon's unit that runs with this file; UNIT_OFF: no unit does. */
enum unit_state unit_state_of_file(const char *file);

#endif
