/* Any text as scenarios: it is parsed or refused, and its times are valid or absent. */
#include <stdlib.h>

#include "ctl/rules/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scenario scenario;
    struct buf report = {0};
    struct written_time before = {0};
    bool good = scenario_parse(&scenario, "fuzz.scn", (struct str){(const char *)data, size}, &report);
    if (good != (report.len == 0))
        abort();
    for (size_t i = 0; i < scenario.n; i++) {
        int64_t us;
        if (scenario.steps[i].at.given)
            written_time_us(&scenario.steps[i].at, &before, &us, NULL);
    }
    scenario_free(&scenario);
    buf_free(&report);
    return 0;
}
