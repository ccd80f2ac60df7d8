/*
 * The place that a person means.
 */
#ifndef MOBEYE_CTL_REGISTRY_FIND_PLACE_H
#define MOBEYE_CTL_REGISTRY_FIND_PLACE_H

#include <libpq-fe.h>
#include <stdbool.h>

struct found_place {
    char lon[32], lat[32];
    /* Of the placement there, if it was found by its address or by an incident; NULL: unknown. free() them. */
    char *address, *team;
    bool secret;
};

/* Finds "5.38421,52.19634" (degrees), "155990.61 464256.19" (RD New), an address where a device is or was placed, or
 * the reference of an incident ("2026-000010", "2026-10"), and says on stderr what an address or a reference stands
 * for. Returns an exit status; errors are printed, with `option` as their subject. */
int find_place(const char *verb, PGconn *conn, const char *option, const char *text, struct found_place *ret);

#endif
