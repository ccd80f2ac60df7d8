#include "ctl/operate/status_programs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json_write.h"
#include "conf/conf_board.h"
#include "conf/conf_frigate.h"
#include "ctl/lib/ctl.h"
#include "ctl/operate/frigate_answer.h"

/* Whether the file can be loaded; otherwise the state says why not. */
static bool is_readable(struct status_program *ret, const char *file)
{
    *ret = (struct status_program){.state = PROGRAM_UNKNOWN};
    if (access(file, R_OK) == 0)
        return true;
    if (errno == ENOENT)
        ret->state = PROGRAM_ABSENT;
    err_set(&ret->why, "%s: %s", file, strerror(errno));
    return false;
}

static void fetch_metrics(struct status_program *ret, const char *program, const char *file, const char *listen)
{
    if (!listen)
        err_set(&ret->why, "http.listen is not set in %s", file);
    else if (scrape_fetch_of(program, listen, &ret->metrics, &ret->why) == 0)
        ret->state = PROGRAM_UP;
    else
        ret->state = PROGRAM_DOWN;
}

void status_frigate_read(struct status_program *ret, const char *file)
{
    struct buf report = {0};
    struct conf_frigate *conf = is_readable(ret, file) ? conf_frigate_load(file, &report) : NULL;
    if (conf) {
        snprintf(ret->name, sizeof(ret->name), "%s", conf->name);
        ret->mqtt = conf->mqtt.given;
        fetch_metrics(ret, "mobeye_frigate", file, conf->http_listen);
    } else if (report.len > 0) {
        err_set(&ret->why, "%s is not a valid configuration (see mobeye-frigate --check)", file);
    }
    conf_frigate_free(&conf);
    buf_free(&report);
}

void status_board_read(struct status_program *ret, const char *file)
{
    struct buf report = {0};
    struct conf_board *conf = is_readable(ret, file) ? conf_board_load(file, &report) : NULL;
    if (conf)
        fetch_metrics(ret, "mobeye_board", file, conf->http_listen);
    else if (report.len > 0)
        err_set(&ret->why, "%s is not a valid configuration (see mobeye-board --check)", file);
    conf_board_free(&conf);
    buf_free(&report);
}

void status_program_clear(struct status_program *program)
{
    buf_free(&program->metrics.text);
}

static double bridge_value(const struct status_program *bridge, const char *name)
{
    return scrape_plain(&bridge->metrics, "mobeye_frigate", name);
}

static bool frigate_answers(const struct status_program *bridge)
{
    double age_s;
    return frigate_answer_of(&bridge->metrics, &age_s) == FRIGATE_ANSWERS;
}

static double board_value(const struct status_program *board, const char *name)
{
    return scrape_plain(&board->metrics, "mobeye_board", name);
}

/* The line for a program that has not answered. false: it has. */
static bool print_silent(const struct status_program *program, const char *what)
{
    if (program->state == PROGRAM_UP)
        return false;
    if (program->state != PROGRAM_ABSENT)
        printf("%-12s %s%s%s: %s\n", what, program->name, *program->name ? ": " : "",
               program->state == PROGRAM_DOWN ? "NOT RUNNING" : "unknown", program->why.text);
    return true;
}

void status_frigate_print(const struct status_program *bridge)
{
    if (print_silent(bridge, "frigate"))
        return;
    double waiting = bridge_value(bridge, "waiting");
    printf("frigate      %s: %s mobeyed", bridge->name,
           bridge_value(bridge, "mobeyed_connected") == 1 ? "connected to" : "NOT CONNECTED to");
    printf(frigate_answers(bridge) ? ", Frigate answers" : ", Frigate DOES NOT ANSWER");
    if (bridge->mqtt)
        printf(bridge_value(bridge, "mqtt_connected") == 1 ? ", connected to the broker"
                                                           : ", NOT CONNECTED to the broker");
    printf("; %.0f alert%s waiting\n", waiting, ctl_plural((unsigned long)waiting));
}

void status_board_print(const struct status_program *board)
{
    if (print_silent(board, "board"))
        return;
    double pages = board_value(board, "streams");
    printf("board        %s the database; %.0f page%s open\n",
           board_value(board, "database_connections") > 0 ? "connected to" : "NOT CONNECTED to", pages,
           ctl_plural((unsigned long)pages));
}

/* Appends the beginning of the member. false: there is nothing more to say. */
static bool begin_json(struct buf *out, const struct status_program *program, const char *what)
{
    json_write_name(out, what);
    if (program->state == PROGRAM_ABSENT) {
        buf_append_str(out, STR("null"));
        return false;
    }
    buf_append_str(out, STR("{"));
    json_write_bool(out, "up", program->state == PROGRAM_UP);
    if (program->state == PROGRAM_UP)
        return true;
    json_write_text(out, "error", str_from(program->why.text));
    buf_append_str(out, STR("}"));
    return false;
}

void status_frigate_json(struct buf *out, const struct status_program *bridge)
{
    if (!begin_json(out, bridge, "frigate"))
        return;
    json_write_text(out, "name", str_from(bridge->name));
    json_write_bool(out, "mobeyed_connected", bridge_value(bridge, "mobeyed_connected") == 1);
    json_write_bool(out, "frigate_answers", frigate_answers(bridge));
    if (bridge->mqtt)
        json_write_bool(out, "mqtt_connected", bridge_value(bridge, "mqtt_connected") == 1);
    json_write_number(out, "waiting", bridge_value(bridge, "waiting"));
    buf_append_str(out, STR("}"));
}

void status_board_json(struct buf *out, const struct status_program *board)
{
    if (!begin_json(out, board, "board"))
        return;
    json_write_number(out, "database_connections", board_value(board, "database_connections"));
    json_write_number(out, "streams", board_value(board, "streams"));
    buf_append_str(out, STR("}"));
}
