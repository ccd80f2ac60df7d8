/*
 * The journal: an append-only log in segment files, the one thing that an ACK depends on. The format is in FORMAT.md.
 *
 * A record is opaque bytes with a sequence number (1, 2, ...) and a checksum. One process at a time has a directory
 * open for writing (a file lock). All calls are made from one condition; none of them calls back.
 *
 * A -1 of journal_append(), journal_sync() or journal_close() is final: nothing that was not synced before may be
 * acknowledged, the journal takes no more calls but journal_free(), and the process ends. fdatasync() is never retried.
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
    const char *directory;   /* made (0750) where its parent exists */
    uint64_t max_size_bytes; /* of all segments together */
    int64_t keep_us;         /* how long stored segments stay, as far as max_size allows */
};

/* What journal_open() found. */
struct journal_recovery {
    uint64_t records;       /* readable ones that are kept */
    uint64_t damaged;       /* records in synced data that no longer check: set aside */
    uint64_t torn_bytes;    /* of a tail that was never known to be synced: set aside, cut */
    uint64_t missing;       /* sequence numbers that no segment holds, between the oldest and the newest */
    uint64_t repaired;      /* damaged places in synced data by which no record was lost: set aside, written anew */
    uint64_t foreign;       /* segment files that are not of this journal: moved to the folder with what is set aside */
    uint64_t unsaved_bytes; /* damaged bytes that could not be copied there (no room): they stay in their segment */
    bool fresh;             /* there was none: it was made */
    bool clean;             /* the last writer closed the journal */
    char salvaged[256];     /* the folder with the bytes that were set aside; empty: none were */
};

/*
 * Opens or makes the journal and recovers it. Takes as long as reading what is kept. wall_us is the time now.
 * -1: another process has it (the error names its pid), the directory cannot be used, the disk has no room for the
 * first segment, or a write or sync failed. Damage is never a reason.
 */
int journal_open(struct journal **ret, const struct journal_options *options, int64_t wall_us,
                 struct journal_recovery *ret_recovery, struct err *err);

/* Syncs nothing; for use after journal_close() or after a failure. Safe on NULL. */
void journal_free(struct journal **journal);

/* Syncs what was appended and writes the clean-stop mark. -1: final. */
int journal_close(struct journal *journal, struct err *err);

/* max_size_bytes and keep_us may change while the journal is open; the directory may not. */
void journal_configure(struct journal *journal, const struct journal_options *options);

enum journal_append {
    JOURNAL_APPENDED,
    /* max_size, or no room on the disk, and nothing stored is left to remove; or the machine is short of descriptors or
     * memory for a new segment: try again later. */
    JOURNAL_FULL,
};

/* Records that belong together, as the events of one message. The bytes from shared_offset on, shared_bytes of them,
 * are the same in all of them: they are kept once. Should they be damaged on the disk, they are read as spaces in all
 * but the first: the others must be of use without. */
struct journal_message {
    const struct str *records;
    size_t n; /* 1 to JOURNAL_MESSAGE_RECORDS */
    size_t shared_offset, shared_bytes;
};
#define JOURNAL_MESSAGE_RECORDS 64
/* Of its records, the shared bytes counted once. */
#define JOURNAL_MESSAGE_BYTES (240 * 1024)

/* Takes all records of the message for the next group commit, or none; they are not on disk before journal_sync().
 * Returns enum journal_append (JOURNAL_FULL with err, the reason), or -1: final. Where they need another frame or
 * segment, the frame before them is written and synced first, so that journal_synced_seq() may rise. ret_seq: the
 * number of the last. */
int journal_append_message(struct journal *journal, const struct journal_message *message, int64_t wall_us,
                           uint64_t *ret_seq, struct err *err);

/* A message of one record. */
int journal_append(struct journal *journal, struct str record, int64_t wall_us, uint64_t *ret_seq, struct err *err);

/* Whether the largest record could be appended now, as far as can be told without trying; changes nothing. -1 with err,
 * the reason: journal_append() would say JOURNAL_FULL. */
int journal_look_for_room(const struct journal *journal, int64_t wall_us, struct err *err);

/* Writes and syncs what was appended as one frame. Afterwards all of it is on stable storage. No-op when nothing is. */
int journal_sync(struct journal *journal, struct err *err);

/* Numbers. next_seq - 1 is the last appended; synced_seq the last that may be acknowledged (numbers of a torn frame
 * stay empty, so that there may be some between the two); first_seq the oldest kept (next_seq where none is). */
uint64_t journal_next_seq(const struct journal *journal);
uint64_t journal_synced_seq(const struct journal *journal);
uint64_t journal_first_seq(const struct journal *journal);
/* The last number that journal_stored() was told; after journal_open() as far as the files tell, which may be less. */
uint64_t journal_stored_seq(const struct journal *journal);
uint64_t journal_unsynced_bytes(const struct journal *journal);
uint64_t journal_bytes(const struct journal *journal);   /* on disk, all segments */
double journal_fill(const struct journal *journal);      /* share of max_size taken by what is not stored */
int64_t journal_reach_us(const struct journal *journal); /* wall time of the oldest kept record; 0: none */

/* Who this journal is, for the database. */
const uint8_t *journal_uuid(const struct journal *journal);

/* The checksum of a kept record, or of the one before the oldest: what it was when it was written, also where the
 * record itself is damaged now. false: not kept, or not known any more. seq 0 has checksum 0. */
bool journal_checksum(struct journal *journal, uint64_t seq, uint64_t *ret);

/* Takes a new UUID: this journal is not what the database knows. Numbers and kept records stay. -1: final. */
int journal_new_uuid(struct journal *journal, struct err *err);

/*
 * Reads synced records from from_seq on into an empty batch, at most max_records and about max_bytes (one record at
 * least), in order. Only rows[].record, alert.seq and alert.checksum are filled. A record that no longer checks
 * comes with `unreadable` set and the bytes that are there, whether that is found now or was at recovery; where a whole
 * frame is no longer recognised, every number of it does, the first with the bytes and all with checksum 0.
 * Fills first_seq (from_seq), last_seq, last_checksum. Numbers of which nothing is left are passed over: of frames that
 * recovery found destroyed, of torn frames, of segments that are gone.
 * 0 rows: nothing is there yet. -1: the disk cannot be read (try again later; nothing is lost).
 */
int journal_read(struct journal *journal, uint64_t from_seq, size_t max_records, size_t max_bytes, struct batch *batch,
                 struct err *err);

/* Gives up the segment that holds seq, or comes next, after journal_read() has failed for long: what still checks in it
 * will be read, the rest comes as unreadable rows; copies of the damaged bytes are set aside, as far as the disk gives
 * them, and ret_found counts them. Takes as long as reading a segment. Nothing in the file is changed, and nothing more
 * is appended to it. -1 with err: nothing was given up, since it is not the disk that fails. */
int journal_salvage(struct journal *journal, uint64_t seq, int64_t wall_us, struct journal_recovery *ret_found,
                    struct err *err);

/* Everything up to seq is in the database: segments before it may be removed, by keep and max_size. May move
 * backwards, when the database was restored. Frees what is due at wall_us; called at least once a minute. */
void journal_stored(struct journal *journal, uint64_t seq, int64_t wall_us);

/* Until when at the latest the files hold what is stored at wall_us, where journal_stored() is called until then. */
int64_t journal_held_until_us(int64_t keep_us, int64_t wall_us);

#endif
