/*
 * The write-ahead journal: an append-only log in segment files, and all that an ACK depends on. The format is in
 * FORMAT.md.
 *
 * A record is opaque bytes with a sequence number (1, 2, ...) and a checksum. A file lock ensures that only one process
 * at a time has a directory open for writing. All calls must come from one thread; none of them calls back.
 *
 * -1 from journal_append(), journal_sync() or journal_close() is final: nothing that was not yet synced may be
 * acknowledged, only journal_free() may be called, and the process must end. fdatasync() is never retried, since the
 * kernel may report a failure once and then drop the dirty pages.
 *
 * A frame is torn if only a part of its write reached the disk, as after a power cut. So it was never synced, and
 * none of its records was acknowledged, as far as can be determined; those that are intact are kept.
 */
#ifndef MOBEYE_JOURNAL_JOURNAL_H
#define MOBEYE_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/batch.h"

#define JOURNAL_UUID_BYTES 16

struct journal;

struct journal_options {
    const char *directory;   /* created with mode 0750 if missing; its parent must exist */
    uint64_t max_size_bytes; /* of all segments together */
    int64_t keep_us;         /* how long stored segments are kept, as far as max_size allows */
};

/* What journal_open() found. */
struct journal_recovery {
    uint64_t records;       /* readable records kept */
    uint64_t damaged;       /* records in synced data whose checksum is wrong: salvaged */
    uint64_t torn_bytes;    /* of a tail not known to be synced: salvaged and cut off */
    uint64_t missing;       /* sequence numbers between the oldest and the newest that are in no segment */
    uint64_t repaired;      /* damaged regions of synced data that cost no record: salvaged and rewritten */
    uint64_t foreign;       /* segment files of another journal: moved to the salvage folder */
    uint64_t lost_segments; /* segment files that the disk cannot read at all: moved there, their records are lost */
    uint64_t unsaved_bytes; /* damaged bytes that could not be copied there (no space): they stay in their segment,
                             * except for what the two headers of a gap replace */
    bool fresh;             /* the journal was created */
    bool clean;             /* the last writer closed the journal */
    bool salvaged;          /* something was copied or moved to the salvage folder */
};

/*
 * Opens or creates the journal and recovers it, which takes as long as reading all of it. wall_us: the current time.
 * -1: another process has it open (the error names its pid), the directory cannot be used, the disk has no space for
 * the first segment, or a write or sync failed. Never -1 because of damage.
 */
int journal_open(struct journal **ret, const struct journal_options *options, int64_t wall_us,
                 struct journal_recovery *ret_recovery, struct err *err);

/* Frees without syncing; for use after journal_close() or after a failure. Safe on NULL. */
void journal_free(struct journal **journal);

/* Syncs what was appended and writes a clean-stop frame. -1: final. */
int journal_close(struct journal *journal, struct err *err);

/* max_size_bytes and keep_us may change while the journal is open; the directory may not. */
void journal_configure(struct journal *journal, const struct journal_options *options);

enum journal_append {
    JOURNAL_APPENDED,
    /* max_size or the disk is full and nothing stored is left to remove, or descriptors or memory for a new segment are
     * short: try again later. */
    JOURNAL_FULL,
};

/* Records that belong together, such as the events of one message. The shared_bytes bytes at shared_offset are the same
 * in all of them and are stored once. If they are damaged on the disk, they are read as spaces in all records but the
 * first, which must be usable without them. */
struct journal_message {
    const struct str *records;
    size_t n; /* 1 to JOURNAL_MESSAGE_RECORDS */
    size_t shared_offset, shared_bytes;
};
#define JOURNAL_MESSAGE_RECORDS 64
/* Maximum size of all its records, the shared bytes counted once. */
#define JOURNAL_MESSAGE_BYTES (1200 * 1024)

/* Adds all records of the message to the next group commit, or none; they are not on disk before journal_sync().
 * Returns enum journal_append (JOURNAL_FULL with the reason in err), or -1: final. If they need another frame or
 * segment, the frame before them is written and synced first, so that journal_synced_seq() may rise. ret_seq: the
 * number of the last record. */
int journal_append_message(struct journal *journal, const struct journal_message *message, int64_t wall_us,
                           uint64_t *ret_seq, struct err *err);

/* A message of one record. */
int journal_append(struct journal *journal, struct str record, int64_t wall_us, uint64_t *ret_seq, struct err *err);

/* Whether the largest record without an image could be appended now, as far as can be determined without trying, and no
 * larger one has just found no space; changes nothing. -1 with the reason in err: journal_append() would return
 * JOURNAL_FULL. */
int journal_check_space(const struct journal *journal, int64_t wall_us, struct err *err);

/* Writes what was appended as one frame and syncs it to stable storage. No-op if nothing was appended. -1: final. */
int journal_sync(struct journal *journal, struct err *err);

/* Sequence numbers: next_seq - 1 is the last appended; synced_seq the last that may be acknowledged (after recovery
 * less than next_seq - 1 if a torn frame had numbers, which stay empty); first_seq the oldest kept (next_seq: none). */
uint64_t journal_next_seq(const struct journal *journal);
uint64_t journal_synced_seq(const struct journal *journal);
uint64_t journal_first_seq(const struct journal *journal);
/* The last number passed to journal_stored(); after journal_open() the one found in the files, which may be lower. */
uint64_t journal_stored_seq(const struct journal *journal);
uint64_t journal_unsynced_bytes(const struct journal *journal);
uint64_t journal_bytes(const struct journal *journal); /* on disk, all segments */
/* The share of max_size used by records not yet stored: 0 to 1, or more after max_size was reduced. */
double journal_fill(const struct journal *journal);
int64_t journal_reach_us(const struct journal *journal); /* wall time of the oldest kept record; 0: none */

/* The UUID by which the database knows this journal; valid as long as the journal. */
const uint8_t *journal_uuid(const struct journal *journal);

/* The checksum of a kept record, or of the one before the oldest, as it was written, even if the record is damaged now.
 * false: not kept, or no longer known. seq 0 has checksum 0. */
bool journal_checksum(struct journal *journal, uint64_t seq, uint64_t *ret);

/* Takes a new UUID, after the database turned out to know another journal by the old one. Numbers and kept records
 * stay. -1: final. */
int journal_new_uuid(struct journal *journal, struct err *err);

/*
 * Reads synced records in order from from_seq into an empty batch: at most max_records, and about max_bytes (at least
 * one record). Only rows[].record, alert.seq and alert.checksum are filled. A record with a wrong checksum, found now
 * or at recovery, has `unreadable` set and the bytes as they are; if a whole frame is unrecognisable, every number in
 * it has, the first with the bytes and all with checksum 0.
 * Fills first_seq (from_seq), last_seq, last_checksum. Numbers without any record left are skipped: those of frames
 * that recovery found destroyed, of torn frames and of missing segments.
 * 0 rows: nothing to read yet. -1: the disk cannot be read (try again later; nothing is lost).
 */
int journal_read(struct journal *journal, uint64_t from_seq, size_t max_records, size_t max_bytes, struct batch *batch,
                 struct err *err);

/* Gives up the segment that holds seq (or the next one) after journal_read() has been failing for a long time: its
 * intact records will be read, the others become unreadable rows. Copies of the damaged bytes are salvaged as far as
 * the disk can read them, and counted in ret_found. Takes as long as reading a segment. What is appended and not synced
 * yet is synced first if it belongs to that segment, so that journal_synced_seq() may rise; after that the file is not
 * changed and nothing more is appended to it. -1 with err: nothing was given up, since the cause is not the disk, or
 * the sync failed finally: journal_failure(). */
int journal_salvage(struct journal *journal, uint64_t seq, int64_t wall_us, struct journal_recovery *ret_found,
                    struct err *err);

/* Everything up to seq is in the database: segments before it may be removed, by keep and max_size. May move
 * backwards, after the database was restored. Removes segments whose time has passed at wall_us; must be called at
 * least once a minute. May begin a new segment, which may fail finally: journal_failure(). */
void journal_stored(struct journal *journal, uint64_t seq, int64_t wall_us);

/* -1 with err: why nothing more can be written, until the journal is opened again. */
int journal_failure(const struct journal *journal, struct err *err);

/* Until when at the latest the files contain what is stored at wall_us, if journal_stored() is called as required. */
int64_t journal_held_until_us(int64_t keep_us, int64_t wall_us);

#endif
