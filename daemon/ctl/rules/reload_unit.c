#include "ctl/rules/reload_unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
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

/* What the daemon has told systemd of its reloads. NULL: nothing is known. The caller frees it. */
static char *reload_status(const char *unit)
{
    char *text = ctl_unit_property(unit, "StatusText");
    const char *reload = text ? strstr(text, "; reload ") : NULL;
    char *status = text && *text ? mem_strdup(reload ? reload : "") : NULL;
    free(text);
    return status;
}

/* By systemd, where there are no metrics. before: reload_status() before the signal. */
static enum reload_result wait_status(const char *unit, const char *before)
{
    int64_t until_us = clock_mono_us() + PATIENCE_S * CLOCK_SECOND;
    enum reload_result result = RELOAD_UNSEEN;
    while (before && result == RELOAD_UNSEEN && clock_mono_us() < until_us) {
        char *now = reload_status(unit);
        if (now && *now && strcmp(now, before) != 0)
            result = strstr(now, "refused") ? RELOAD_REFUSED : RELOAD_APPLIED;
        free(now);
        if (result == RELOAD_UNSEEN)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return result;
}

/* The signal, and its result as seen by systemd alone. */
static enum reload_result reload_unseen(const char *unit, const char *listen)
{
    const char *const reload[] = {"systemctl", "reload", unit, NULL};
    char *before = reload_status(unit);
    enum reload_result result = ctl_systemctl(reload) == 0 ? wait_status(unit, before) : RELOAD_REFUSED;
    if (result == RELOAD_UNSEEN)
        fprintf(stderr, "%s was told to reload; %s%s, so only its log shows the result\n", unit,
                listen ? "no answer from " : "http.listen is not set", listen ? listen : "");
    free(before);
    return result;
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
    if (isnan(before))
        return reload_unseen(unit, listen);
    if (ctl_systemctl(reload) != 0)
        return RELOAD_REFUSED;
    return wait_applied(listen, before, refused_earlier || again) ? RELOAD_APPLIED : RELOAD_REFUSED;
}
