#include "ctl/operate/frigate_answer.h"

#include <math.h>

#include "base/clock.h"

#define LATE_S 75 /* it asks Frigate every minute */

enum frigate_answer frigate_answer_of(const struct scrape *scrape, double *ret_age_s)
{
    double last_s = scrape_plain(scrape, "mobeye_frigate", "http_last_answer_timestamp_seconds");
    *ret_age_s = last_s > 0 ? fmax(0, (double)clock_wall_us() / 1e6 - last_s) : INFINITY;
    if (!(scrape_plain(scrape, "mobeye_frigate", "http_answers") > 0))
        return FRIGATE_SILENT;
    if (*ret_age_s > LATE_S)
        return FRIGATE_LATE;
    return scrape_plain(scrape, "mobeye_frigate", "frigate_online") > 0 ? FRIGATE_ANSWERS : FRIGATE_OFFLINE;
}
