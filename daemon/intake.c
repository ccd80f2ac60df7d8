#include "intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/record.h"
#include "base/clock.h"
#include "base/mem.h"

void records_clear(struct records *records)
{
    records->bytes.len = records->n = records->shared_offset = records->shared_bytes = 0;
    records->share = NULL;
}

void records_add(struct records *records, const struct alert *alert)
{
    size_t at = records->bytes.len;
    record_pack(&records->bytes, alert);
    records->len[records->n++] = records->bytes.len - at;
}

struct intake *intake_find(struct intake **list, struct metrics_endpoint *counters, int64_t mono_us)
{
    for (struct intake *intake = *list; intake; intake = intake->next)
        if (intake->counters == counters)
            return intake;
    struct intake *intake = mem_zalloc(sizeof(*intake));
    intake->counters = counters;
    intake->heard_us = mono_us;
    intake->heard_wall_us = ALERT_NO_TIME;
    intake->next = *list;
    snprintf(intake->subject, sizeof(intake->subject), "endpoint %s", counters->name);
    *list = intake;
    return intake;
}

void intake_free_all(struct intake **list)
{
    for (struct intake *intake = *list, *next; intake; intake = next) {
        next = intake->next;
        buf_free(&intake->held.bytes);
        dc09_keys_free(&intake->keys);
        free(intake);
    }
    *list = NULL;
}

static void speaks_again(struct intake *intake)
{
    if (intake->counters->endpoint_silent > 0)
        log_info(intake->subject, "is no longer silent");
    intake->counters->endpoint_silent = 0;
}

void intake_heard(struct intake *intake, int64_t mono_us, int64_t wall_us)
{
    intake->heard_us = mono_us;
    intake->heard_wall_us = wall_us;
    speaks_again(intake);
}

int64_t intake_heard_us(const struct intake *list, const char *endpoint)
{
    for (const struct intake *intake = list; intake; intake = intake->next)
        if (strcmp(intake->counters->name, endpoint) == 0)
            return intake->heard_wall_us;
    return ALERT_NO_TIME;
}

static void falls_silent(struct intake *intake, int64_t expect_every_us)
{
    if (intake->counters->endpoint_silent == 0)
        log_warning(intake->subject, "is silent: nothing was taken from it for %.0f s (expect_every)",
                    (double)expect_every_us / CLOCK_SECOND);
    intake->counters->endpoint_silent = 1;
}

static void end_complaints(struct intake *intake, int64_t mono_us)
{
    for (int code = 0; code < REJECT_COUNT; code++)
        log_recover_if_quiet(&intake->refused[code], mono_us, intake->subject,
                             "no message was refused for a minute (%s)", reject_word((enum reject_code)code));
    log_recover_if_quiet(&intake->taken_over, mono_us, intake->subject, "no routing id was taken over for a minute");
    for (int reason = 0; reason < SECURITY_REFUSALS; reason++)
        log_recover_if_quiet(&intake->not_let_in[reason], mono_us, intake->subject,
                             "no peer was turned away for a minute (%s)", security_word((enum security_refusal)reason));
}

bool intake_look(struct intake *intake, int64_t expect_every_us, int64_t mono_us)
{
    bool silent = expect_every_us > 0 && mono_us - intake->heard_us >= expect_every_us;
    bool changed = silent != intake->looked_silent;
    end_complaints(intake, mono_us);
    if (silent)
        falls_silent(intake, expect_every_us);
    else
        speaks_again(intake);
    intake->looked_silent = silent;
    return changed;
}

struct dc09_keys **intake_load_keys(const struct conf *conf, struct err *err)
{
    struct dc09_keys **keys = mem_zalloc((conf->n_endpoints + 1) * sizeof(struct dc09_keys *));
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        if (!conf->endpoints[i].dc09_keys)
            continue;
        keys[i] = dc09_keys_load(conf->endpoints[i].dc09_keys, err);
        if (!keys[i]) {
            intake_free_keys(&keys, conf->n_endpoints);
            return NULL;
        }
    }
    return keys;
}

void intake_free_keys(struct dc09_keys ***keys, size_t n)
{
    for (size_t i = 0; *keys && i < n; i++)
        dc09_keys_free(&(*keys)[i]);
    free(*keys);
    *keys = NULL;
}
