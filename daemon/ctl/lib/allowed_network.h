/*
 * IPAddressAllow= and IPAddressDeny= of a unit.
 */
#ifndef MOBEYE_CTL_LIB_ALLOWED_NETWORK_H
#define MOBEYE_CTL_LIB_ALLOWED_NETWORK_H

#include <stdbool.h>

#include "base/address.h"

/* allowed: IPAddressAllow as printed by `systemctl show`, networks separated by spaces. */
bool allowed_network(const char *allowed, const struct network *network);

/* Whether the unit blocks this address. An address that is not one, such as "", is not blocked, nor is any without
 * systemd. */
bool allowed_network_blocks(const char *unit, const char *address);

#endif
