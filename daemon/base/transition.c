#include "base/transition.h"

#include <stdlib.h>

#include "base/log.h"

void transition_check(const struct machine_state *states, unsigned from, unsigned to, const char *subject,
                      const char *machine, const char *reason)
{
    const char *colon = *machine ? ": " : "";
    log_debug(subject, "%s%s%s -> %s: %s", machine, colon, states[from].name, states[to].name, reason);
    if (states[from].exits & STATE_BIT(to))
        return;
    log_error(subject, "%s%s%s must not follow on %s; this is a bug", machine, colon, states[to].name,
              states[from].name);
    abort();
}
