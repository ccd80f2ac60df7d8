#include "ingest/endpoint_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct endpoint_state *endpoint_state_find(struct endpoint_state **list, struct metrics *metrics, const char *endpoint,
                                           int64_t mono_us)
{
    struct metrics_endpoint *counters = metrics_endpoint(metrics, endpoint);
    for (struct endpoint_state *state = *list; state; state = state->next)
        if (state->counters == counters)
            return state;
    struct endpoint_state *state = mem_zalloc(sizeof(*state));
    state->counters = counters;
    state->last_received_us = mono_us;
    state->last_received_wall_us = ALERT_NO_TIME;
    state->next = *list;
    snprintf(state->subject, sizeof(state->subject), "endpoint %s", counters->name);
    *list = state;
    return state;
}

void endpoint_state_free_all(struct endpoint_state **list)
{
    for (struct endpoint_state *state = *list, *next; state; state = next) {
        next = state->next;
        record_queue_free(&state->held);
        dc09_keys_free(&state->keys);
        free(state);
    }
    *list = NULL;
}

void endpoint_state_received(struct endpoint_state *state, int64_t mono_us, int64_t wall_us)
{
    state->last_received_us = mono_us;
    state->last_received_wall_us = wall_us;
}

int64_t endpoint_state_received_us(const struct endpoint_state *list, const char *endpoint)
{
    for (const struct endpoint_state *state = list; state; state = state->next)
        if (strcmp(state->counters->name, endpoint) == 0)
            return state->last_received_wall_us;
    return ALERT_NO_TIME;
}

static void end_limits(struct endpoint_state *state, int64_t mono_us)
{
    for (int code = 0; code < REJECT_COUNT; code++)
        log_recover_if_quiet(&state->rejected[code], mono_us, state->subject, "no message rejected for a minute (%s)",
                             reject_word((enum reject_code)code));
    log_recover_if_quiet(&state->taken_over, mono_us, state->subject, "no routing id taken over for a minute");
    for (int reason = 0; reason < SECURITY_REFUSALS; reason++)
        log_recover_if_quiet(&state->denied[reason], mono_us, state->subject, "no peer denied for a minute (%s)",
                             security_word((enum security_refusal)reason));
}

static bool check_silence_of(struct endpoint_state *state, int64_t expect_every_us, int64_t mono_us)
{
    bool silent = expect_every_us > 0 && mono_us - state->last_received_us >= expect_every_us;
    end_limits(state, mono_us);
    if (silent == state->silent)
        return false;
    if (silent)
        log_warning(state->subject, "silent: no message accepted for %.0f s (expect_every)",
                    (double)expect_every_us / CLOCK_SECOND);
    else
        log_info(state->subject, "no longer silent");
    state->silent = silent;
    state->counters->endpoint_silent = silent;
    return true;
}

/* 0: it is not expected to send, or the configuration no longer has it. */
static int64_t expect_every_us(const struct conf *conf, const char *endpoint)
{
    for (size_t i = 0; i < conf->n_endpoints; i++)
        if (strcmp(conf->endpoints[i].name, endpoint) == 0)
            return conf->endpoints[i].expect_every_us;
    return 0;
}

bool endpoint_state_check_silence(struct endpoint_state *list, const struct conf *conf, int64_t mono_us)
{
    bool changed = false;
    for (struct endpoint_state *state = list; state; state = state->next)
        changed |= check_silence_of(state, expect_every_us(conf, state->counters->name), mono_us);
    return changed;
}

int dc09_key_lists_load(struct dc09_key_lists *ret, const struct conf *conf, struct err *err)
{
    ret->n = conf->n_endpoints;
    ret->list = mem_zalloc((ret->n + 1) * sizeof(struct dc09_keys *));
    for (size_t i = 0; i < ret->n; i++) {
        if (!conf->endpoints[i].dc09_keys)
            continue;
        ret->list[i] = dc09_keys_load(conf->endpoints[i].dc09_keys, err);
        if (!ret->list[i]) {
            dc09_key_lists_free(ret);
            return -1;
        }
    }
    return 0;
}

void dc09_key_lists_free(struct dc09_key_lists *lists)
{
    for (size_t i = 0; i < lists->n; i++)
        dc09_keys_free(&lists->list[i]);
    free(lists->list);
    *lists = (struct dc09_key_lists){0};
}

void endpoint_state_take_keys(struct endpoint_state *state, struct dc09_keys **keys)
{
    dc09_keys_free(&state->keys);
    state->keys = *keys;
    *keys = NULL;
}
