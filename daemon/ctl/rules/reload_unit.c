#include "ctl/rules/reload_unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/scrape.h"
#include "ctl/lib/unit.h"

enum { PATIENCE_S = 15 };

/* A reload is a signal and gives no reply, so this polls. false: the daemon refused the file, or the time is over.
 * refused_earlier: it has refused one before the signal, so that another refusal does not show. */
static bool wait_applied(const char *listen, double before, bool refused_earlier)
{
    int64_t until_us = clock_mono_us() + PATIENCE_S * CLOCK_SECOND;
    do {
        bool refused;
        if (scrape_applied_at(listen, &refused) > before)
            return true;
        if (refused && !refused_earlier)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    } while (clock_mono_us() < until_us);
    return false;
}

enum reload_result reload_unit(const char *unit, const char *listen, bool again)
{
    const char *const active[] = {"systemctl", "is-active", "--quiet", unit, NULL};
    const char *const reload[] = {"systemctl", "reload", unit, NULL};
    bool refused_earlier;
    if (strcmp(unit, "none") == 0)
        return RELOAD_NONE;
    if (ctl_systemctl(active) != 0) {
        fprintf(stderr,
                "%s is not running under systemd: the file is applied when it starts (a daemon that was started by "
                "hand applies it on SIGHUP)\n",
                unit);
        return RELOAD_NONE;
    }
    double before = scrape_applied_at(listen, &refused_earlier);
    if (ctl_systemctl(reload) != 0)
        return RELOAD_REFUSED;
    if (isnan(before)) {
        fprintf(stderr, "%s was told to reload; %s%s, so only its log shows the result\n", unit,
                listen ? "no answer from " : "http.listen is not set", listen ? listen : "");
        return RELOAD_UNSEEN;
    }
    return wait_applied(listen, before, refused_earlier || again) ? RELOAD_APPLIED : RELOAD_REFUSED;
}
