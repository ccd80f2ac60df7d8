/* mobeye-frigate: parses arguments, builds everything, runs the loop, tears down in reverse order. */
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <mosquitto.h>
#include <sodium.h>
#include <yaml.h>
#include <zmq.h>

#include "base/log.h"
#include "base/program.h"
#include "conf/conf_frigate.h"
#include "frigate/bridge.h"
#include "ingest/json_read.h"

struct camera_program {
    struct program program;
    struct frigate_metrics metrics;
    struct bridge *bridge;
};

static const char usage[] =
    "Usage: mobeye-frigate [OPTION]...\n"
    "Sends what a Frigate camera server sees to mobeyed, as alerts with images.\n\n"
    "  -c, --config FILE  configuration file (default: " CONF_FRIGATE_FILE ")\n"
    "      --check        check the configuration, print every error in it, and exit\n"
    "      --debug        log debug messages\n"
    "  -V, --version      print the version, and the versions of the libraries in use\n"
    "  -h, --help         print this help\n\n"
    "Signals: TERM and INT stop.\n"
    "Exit status: 0 stopped by a signal, 1 fatal error, 2 bad configuration or usage. See mobeye-frigate(8).\n";

static void print_version(void)
{
    int major, minor, patch;
    printf("mobeye-frigate %s\nlibevent %s\n", MOBEYE_VERSION, event_get_version());
    zmq_version(&major, &minor, &patch);
    printf("libzmq %d.%d.%d\n", major, minor, patch);
    mosquitto_lib_version(&major, &minor, &patch);
    printf("libmosquitto %d.%d.%d\nlibcurl %s\n", major, minor, patch, curl_version_info(CURLVERSION_NOW)->version);
    yaml_get_version(&major, &minor, &patch);
    printf("libyaml %d.%d.%d\n%s\nlibsodium %s\n", major, minor, patch, json_library(), sodium_version_string());
}

static struct conf_frigate *load_and_report(const char *file)
{
    struct buf report = {0};
    struct conf_frigate *conf = conf_frigate_load(file, &report);
    program_report(&report, conf != NULL);
    return conf;
}

static int answer_metrics(void *ctx, struct buf *ret_body)
{
    struct camera_program *p = ctx;
    bridge_gauges(p->bridge);
    frigate_metrics_write(&p->metrics, ret_body);
    return 200;
}

static void on_status(void *ctx, struct buf *ret_text)
{
    struct camera_program *p = ctx;
    bridge_status(p->bridge, ret_text);
}

/* Returns the exit status. */
static int run_bridge(struct camera_program *p, const struct conf_frigate *conf)
{
    static const struct program_calls calls = {.on_status = on_status, .answer_metrics = answer_metrics};
    struct err err = {""};
    int status = PROGRAM_FATAL;
    if (program_begin(&p->program, "mobeye-frigate", &calls, p, &err) != 0)
        goto report;
    p->bridge = bridge_new(p->program.loop, conf, &p->metrics, &err);
    if (!p->bridge || program_listen(&p->program, conf->http_listen, &err) != 0)
        goto report;
    program_ready(&p->program);
    log_info("mobeye-frigate", "%s is ready, version " MOBEYE_VERSION, conf->name);
    loop_run(p->program.loop);
    if (bridge_failed(p->bridge))
        goto undo;
    log_info("mobeye-frigate", "stopped");
    status = EXIT_SUCCESS;
    goto undo;

report:
    log_error("mobeye-frigate", "%s", err.text);
undo:
    program_disarm(&p->program);
    bridge_free(&p->bridge);
    program_end(&p->program);
    return status;
}

int main(int argc, char **argv)
{
    struct program_options options = {
        .name = "mobeye-frigate", .usage = usage, .print_version = print_version, .file = CONF_FRIGATE_FILE};
    struct camera_program program = {0};
    int status = program_parse(&options, argc, argv);
    if (status >= 0)
        return status;
    struct conf_frigate *conf = load_and_report(options.file);
    if (!conf)
        return PROGRAM_CONFIGURATION;
    /* A name server that does not answer must not hold up a stop. */
    setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);
    status = options.check ? program_valid(options.file, "") : run_bridge(&program, conf);
    conf_frigate_free(&conf);
    return status;
}
