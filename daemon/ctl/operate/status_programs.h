/*
 * The part of mobeyectl status about mobeye-frigate and mobeye-board, where they are installed: by their configuration
 * and their metrics.
 */
#ifndef MOBEYE_CTL_OPERATE_STATUS_PROGRAMS_H
#define MOBEYE_CTL_OPERATE_STATUS_PROGRAMS_H

#include <stdbool.h>

#include "base/err.h"
#include "ctl/lib/scrape.h"

enum program_state {
    PROGRAM_ABSENT,  /* it has no configuration on this machine */
    PROGRAM_UNKNOWN, /* `why` */
    PROGRAM_DOWN,    /* it does not answer: `why` */
    PROGRAM_UP,      /* it has answered: `metrics` */
};

struct status_program {
    enum program_state state;
    struct err why;
    struct scrape metrics;
    char name[64]; /* of the bridge */
    bool mqtt;     /* the bridge follows a broker */
};

/* Reads the file and fetches the metrics. status_program_clear() the result in any case. */
void status_frigate_read(struct status_program *ret, const char *file);
void status_board_read(struct status_program *ret, const char *file);
void status_program_clear(struct status_program *program);

/* Print a line of the screen; nothing if it is absent. */
void status_frigate_print(const struct status_program *bridge);
void status_board_print(const struct status_program *board);

/* Append a member of the JSON object; null if it is absent. */
void status_frigate_json(struct buf *out, const struct status_program *bridge);
void status_board_json(struct buf *out, const struct status_program *board);

#endif
