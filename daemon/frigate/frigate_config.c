#include "frigate/frigate_config.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

#define NAMES_SHOWN 10

struct frigate_camera *frigate_config_add_camera(struct frigate_config *config, const char *name)
{
    if (!*name || config->n_cameras == FRIGATE_CAMERAS_MAX) {
        config->more = true;
        return NULL;
    }
    struct frigate_camera *camera = &config->cameras[config->n_cameras++];
    *camera = (struct frigate_camera){.snapshots = TRI_UNKNOWN};
    snprintf(camera->name, sizeof(camera->name), "%s", name);
    return camera;
}

static const char *label_at(const void *ctx, size_t i)
{
    const struct frigate_config *config = ctx;
    return i < config->n_labels ? config->labels[i] : NULL;
}

static const char *camera_at(const void *ctx, size_t i)
{
    const struct frigate_config *config = ctx;
    return i < config->n_cameras ? config->cameras[i].name : NULL;
}

static bool has_name(nearest_word_fn names, const struct frigate_config *config, const char *name)
{
    const char *known;
    for (size_t i = 0; (known = names(config, i)); i++)
        if (strcmp(known, name) == 0)
            return true;
    return false;
}

void frigate_config_add_label(struct frigate_config *config, const char *label)
{
    if (has_name(label_at, config, label))
        return;
    if (!*label || config->n_labels == FRIGATE_LABELS_MAX)
        config->more = true;
    else
        snprintf(config->labels[config->n_labels++], FRIGATE_NAME_SIZE, "%s", label);
}

static void append_names(nearest_word_fn names, const struct frigate_config *config, struct buf *out)
{
    const char *name;
    size_t i = 0;
    for (; (name = names(config, i)) && i < NAMES_SHOWN; i++)
        buf_printf(out, "%s%s", i > 0 ? ", " : "", name);
    if (name)
        buf_printf(out, ", ...");
}

void frigate_config_cameras(const struct frigate_config *config, struct buf *out)
{
    append_names(camera_at, config, out);
}

/* ---- the comparison ---- */

struct comparison {
    const struct conf_frigate *conf;
    const struct frigate_config *config;
    frigate_mismatch_fn say;
    void *ctx;
};

/* `start`, the known name that was probably meant, and the existing names. */
static void say_unknown(const struct comparison *c, const char *key, const char *start, const char *name,
                        nearest_word_fn names)
{
    struct buf text = {0};
    const char *meant = nearest_word(name, names, c->config);
    buf_printf(&text, "%s", start);
    if (meant)
        buf_printf(&text, ", did you mean %s?", meant);
    buf_printf(&text, " (expected one of ");
    append_names(names, c->config, &text);
    buf_printf(&text, ")");
    c->say(c->ctx, key, text.data);
    buf_free(&text);
}

static unsigned compare_cameras(const struct comparison *c)
{
    unsigned n = 0;
    for (size_t i = 0; i < c->conf->n_cameras; i++) {
        const struct conf_frigate_camera *camera = &c->conf->cameras[i];
        char key[128];
        if (has_name(camera_at, c->config, camera->name))
            continue;
        n++;
        snprintf(key, sizeof(key), "cameras.%.100s", camera->name);
        say_unknown(c, key,
                    camera->ignore == 1 ? "Frigate has no camera with this name, and nothing is ignored"
                                        : "Frigate has no camera with this name",
                    camera->name, camera_at);
    }
    return n;
}

static unsigned compare_labels(const struct comparison *c)
{
    unsigned n = 0;
    for (size_t i = 0; i < c->conf->n_labels; i++) {
        const char *label = c->conf->labels[i];
        char start[160];
        if (has_name(label_at, c->config, label))
            continue;
        n++;
        snprintf(start, sizeof(start), "no camera of Frigate tracks \"%.100s\"", label);
        say_unknown(c, "labels", start, label, label_at);
    }
    return n;
}

static bool compare_mqtt(const struct comparison *c)
{
    char text[320];
    const char *own = c->conf->mqtt.topic_prefix, *frigate = c->config->topic_prefix;
    if (!c->conf->mqtt.given)
        return false;
    if (c->config->mqtt == TRI_NO) {
        c->say(c->ctx, "mqtt", "Frigate publishes to no broker (expected mqtt: enabled: true in its configuration)");
        return true;
    }
    if (!*frigate || strcmp(own, frigate) == 0)
        return false;
    snprintf(text, sizeof(text), "\"%s\" is not that of Frigate (expected \"%s\")", own, frigate);
    c->say(c->ctx, "mqtt.topic_prefix", text);
    return true;
}

static unsigned compare_snapshots(const struct comparison *c)
{
    struct buf text = {0};
    unsigned n = 0;
    for (size_t i = 0; c->conf->images.given && i < c->config->n_cameras; i++) {
        const struct frigate_camera *camera = &c->config->cameras[i];
        const struct conf_frigate_camera *own = conf_frigate_camera(c->conf, str_from(camera->name));
        if (camera->snapshots != TRI_NO || (own && own->ignore == 1))
            continue;
        buf_printf(&text, "%s%s", n == 0 ? "" : n < NAMES_SHOWN ? ", " : "", n < NAMES_SHOWN ? camera->name : "");
        n++;
    }
    if (n > 0) {
        buf_printf(&text, "%s: Frigate stores no snapshots (expected snapshots: enabled: true in its configuration)%c",
                   n > NAMES_SHOWN ? ", ..." : "", '\0');
        c->say(c->ctx, "images", text.data);
    }
    buf_free(&text);
    return n;
}

struct frigate_mismatch frigate_config_compare(const struct conf_frigate *conf, const struct frigate_config *config,
                                               frigate_mismatch_fn say, void *ctx)
{
    const struct comparison c = {conf, config, say, ctx};
    return (struct frigate_mismatch){
        .cameras = config->n_cameras > 0 && !config->more ? compare_cameras(&c) : 0,
        .labels = config->n_labels > 0 && !config->more ? compare_labels(&c) : 0,
        .without_snapshots = compare_snapshots(&c),
        .mqtt = compare_mqtt(&c),
    };
}
