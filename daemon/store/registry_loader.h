/*
 * Reads the registry and the areas from PostgreSQL, on a separate connection, and keeps them current: everything after
 * connecting, then the changes whenever the database announces some (NOTIFY).
 *
 * It reconnects by itself indefinitely. Meanwhile the data read last stays in use.
 */
#ifndef MOBEYE_STORE_REGISTRY_LOADER_H
#define MOBEYE_STORE_REGISTRY_LOADER_H

#include <stdbool.h>

#include "base/loop.h"
#include "model/area_rows.h"
#include "model/registry.h"

struct registry_loader;

/* While connected, losing the connection leads to CONNECTING, a statement that fails to WAITING. */
enum registry_loader_state {
    REGISTRY_STOPPED,    /* not started. -> CONNECTING */
    REGISTRY_CONNECTING, /* an attempt, or the pause before one (store/session.h). -> DEVICES */
    REGISTRY_DEVICES,    /* rows of the registry come. -> VERSION */
    REGISTRY_VERSION,    /* are the areas in the database newer? -> AREAS, IDLE */
    REGISTRY_AREAS,      /* rows of the areas come. -> IDLE */
    REGISTRY_IDLE,       /* everything is current. Notified of a change -> DEVICES */
    REGISTRY_WAITING,    /* a statement failed: seconds to half a minute. -> DEVICES, all again */
};

/* Both are called from the loop. They may call registry_loader_refresh(), not registry_loader_free(). */
struct registry_loader_calls {
    /* All areas, owned by the callee from now on. */
    void (*on_areas)(void *ctx, struct area_rows *rows);
    /* The registry, and the areas that were handed over, are current. Until the next call the registry may change,
     * device by device; while registry.loading is set it must not be used. */
    void (*on_current)(void *ctx);
};

/* The registry (the owner's, which outlives the loader) is written to from the loop. Texts are copied. */
struct registry_loader *registry_loader_new(struct loop *loop, const char *conninfo, const char *instance,
                                            struct registry *registry, const struct registry_loader_calls *calls,
                                            void *ctx);
void registry_loader_free(struct registry_loader **loader); /* safe on NULL */

/* Begins to connect. */
void registry_loader_start(struct registry_loader *loader);

/* New conninfo or instance: reconnects if they differ. */
void registry_loader_reconfigure(struct registry_loader *loader, const char *conninfo, const char *instance);

/* While suppressed, failures are not logged: the writer logs what is wrong with the database. */
void registry_loader_suppress_log(struct registry_loader *loader, bool suppress);

/* Reads what is newer in the database; on_current() follows, soon if it is connected. */
void registry_loader_refresh(struct registry_loader *loader);

/* Memory of the areas that are not handed over yet. */
size_t registry_loader_bytes(const struct registry_loader *loader);

/* How long the last reading of devices took. */
int64_t registry_loader_took_us(const struct registry_loader *loader);

#endif
