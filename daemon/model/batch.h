/*
 * Consecutive journal records on their way to the database. The batch owns the bytes; the alerts are slices of them.
 */
#ifndef MOBEYE_MODEL_BATCH_H
#define MOBEYE_MODEL_BATCH_H

#include "base/arena.h"
#include "model/alert.h"

struct batch_row {
    struct alert alert;     /* valid unless unreadable is set; seq and checksum always are */
    struct str record;      /* the journal record, a slice of batch.bytes */
    const char *unreadable; /* NULL, or why the record could not be unpacked: it goes to quarantine. Static text. */
};

struct batch {
    struct buf bytes; /* must not grow once rows point into it */
    struct batch_row *rows;
    size_t n, cap;
    uint64_t first_seq, last_seq; /* the journal position moves from first_seq - 1 to last_seq. Equal to the rows'
                                     numbers unless the journal had to skip damaged records. */
    uint64_t last_checksum;       /* of the record last_seq */
    uint64_t registry_version;    /* used to enrich it; the database says whether they are still current */
    uint64_t areas_version;
    bool versions_waived; /* newer versions do not matter: these were read after the last record was received */
    struct arena arena;   /* what enrich added to the alerts */
};

struct batch *batch_new(size_t cap);
void batch_free(struct batch **batch); /* safe on NULL */
void batch_clear(struct batch *batch); /* empties it, keeps the memory */

/* Memory valid until batch_clear(), aligned for any type: uninitialized; a copy of the bytes; a copy of the text. */
void *batch_alloc(struct batch *batch, size_t len);
void *batch_copy(struct batch *batch, const void *bytes, size_t len);
struct str batch_copy_str(struct batch *batch, struct str text);

#endif
