#include "ctl/operate/unit_state.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/lib/connect.h"
#include "ctl/lib/unit.h"

enum unit_state unit_state(const char *unit)
{
    char *file = ctl_unit_property(unit, "UnitFileState"), *active = ctl_unit_property(unit, "ActiveState");
    enum unit_state state = UNIT_OFF;
    if (active &&
        (strcmp(active, "active") == 0 || strcmp(active, "reloading") == 0 || strcmp(active, "deactivating") == 0))
        state = UNIT_RUNS;
    else if (active && *active && file && (strcmp(file, "enabled") == 0 || strcmp(active, "inactive") != 0))
        state = UNIT_DOWN;
    free(file);
    free(active);
    return state;
}

enum unit_state unit_state_of_file(const char *file)
{
    char unit[CONNECT_UNIT_SIZE];
    return connect_unit_of(CONNECT_DAEMON_USER, file, unit) ? unit_state(unit) : UNIT_OFF;
}
