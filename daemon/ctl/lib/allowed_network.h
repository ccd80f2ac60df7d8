/*
 * IPAddressAllow= and IPAddressDeny= of a unit.
 */
#ifndef MOBEYE_CTL_LIB_ALLOWED_NETWORK_H
#define MOBEYE_CTL_LIB_ALLOWED_NETWORK_H

#include <stdbool.h>

#include "base/address.h"

/* networks: either of them as printed by `systemctl show`, separated by spaces. Whether one of them contains the
 * network. */
bool allowed_network(const char *networks, const struct network *network);

/* Whether the unit blocks this address. An address that is not one, such as "", is not blocked, nor is any without
 * systemd. */
bool allowed_network_blocks(const char *unit, const char *address);

#endif
