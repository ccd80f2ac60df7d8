/*
 * The part of Frigate's own configuration (/api/config) that the bridge needs, as a plain struct of bounded size, and
 * how it differs from the bridge's configuration. Pure.
 */
#ifndef MOBEYE_FRIGATE_FRIGATE_CONFIG_H
#define MOBEYE_FRIGATE_FRIGATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf_frigate.h"
#include "frigate/frigate_event.h"

#define FRIGATE_CAMERAS_MAX 256
#define FRIGATE_LABELS_MAX  256
#define FRIGATE_NAME_SIZE   65 /* of a camera or a label; longer ones are left out */

struct frigate_camera {
    char name[FRIGATE_NAME_SIZE];
    double width, height; /* of the pictures used for detection, in pixels; 0: not given */
    enum frigate_tri snapshots;
};

struct frigate_config {
    struct frigate_camera cameras[FRIGATE_CAMERAS_MAX];
    size_t n_cameras;
    char labels[FRIGATE_LABELS_MAX][FRIGATE_NAME_SIZE]; /* that at least one camera tracks or listens for */
    size_t n_labels;
    bool more; /* cameras or labels were left out: nothing can be reported as missing */
    enum frigate_tri mqtt;
    char topic_prefix[129]; /* empty: not given */
};

/* Both ignore what does not fit, and set `more`. */
struct frigate_camera *frigate_config_add_camera(struct frigate_config *config, const char *name);
void frigate_config_add_label(struct frigate_config *config, const char *label);

/* Appends "a, b, c", at most ten names. */
void frigate_config_cameras(const struct frigate_config *config, struct buf *out);

/* How many names in the bridge's configuration are missing from Frigate's. */
struct frigate_mismatch {
    unsigned cameras, labels;
    unsigned without_snapshots; /* cameras whose images are wanted */
    bool mqtt;                  /* another topic prefix, or no broker at all */
};

/* Calls back for each difference: a key of the bridge's configuration, and what is wrong with it. */
typedef void (*frigate_mismatch_fn)(void *ctx, const char *key, const char *text);
struct frigate_mismatch frigate_config_compare(const struct conf_frigate *conf, const struct frigate_config *config,
                                               frigate_mismatch_fn say, void *ctx);

#endif
