#include "ctl/lib/allowed_network.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/lib/unit.h"

bool allowed_network(const char *networks, const struct network *network)
{
    char *copy = mem_strdup(networks), *save = NULL;
    bool is = false;
    for (char *word = strtok_r(copy, " ", &save); word && !is; word = strtok_r(NULL, " ", &save)) {
        struct network one;
        struct err err;
        is = address_network(word, &one, &err) == 0 && address_within(network, &one);
    }
    free(copy);
    return is;
}

bool allowed_network_blocks(const char *unit, const char *address)
{
    struct network network;
    if (!address || address_network(address, &network, NULL) != 0)
        return false;
    char *allowed = ctl_unit_property(unit, "IPAddressAllow"), *denied = ctl_unit_property(unit, "IPAddressDeny");
    bool blocks = allowed && denied && allowed_network(denied, &network) && !allowed_network(allowed, &network);
    free(allowed);
    free(denied);
    return blocks;
}
