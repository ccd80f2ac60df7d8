/*
 * Limits how much is received before the replies are sent: a turn is one group commit, received in slices.
 *
 * A slice is what is received in one iteration of the event loop, so that a flood delays neither other events nor new
 * messages. A turn ends when no more messages wait, when it is full, or at the end of a slice in which one peer has
 * sent little and another a lot: a peer that sends little does not wait for the rest of a flood. Bytes count once as
 * received and once more as journaled: libzmq reads one message from each peer in turn, whatever their size.
 *
 * Pure: no clock, no memory of its own.
 */
#ifndef MOBEYE_FLOW_TURN_H
#define MOBEYE_FLOW_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A turn is large enough that one fdatasync() (0.1 ms and more) is shared by thousands of records, and small enough
 * that no sender waits noticeably longer than for a slow disk. */
#define TURN_RECORDS 4096
#define TURN_BYTES   (2 * 1024 * 1024)
#define TURN_US      20000
/* A slice delays other events by about a millisecond. */
#define TURN_SLICE_RECORDS 256
#define TURN_SLICE_BYTES   (256 * 1024)
#define TURN_SLICE_US      1000
/* A peer has sent little if the busiest one has sent more than this many times as much: enough that peers of similar
 * load still share a group commit. */
#define TURN_LITTLE 8
/* Peers are distinguished by a hash: two with the same slot count as one. */
#define TURN_PEERS 256

/* Initially {0}. */
struct turn {
    size_t records, bytes;
    size_t slice_records, slice_bytes; /* of the current slice */
    int64_t since_us, slice_since_us;  /* monotonic; since_us is valid if records > 0 */
    uint32_t peers[TURN_PEERS];        /* bytes from each */
};

/* Begins a slice at now_us, and a turn if none has begun. */
void turn_slice(struct turn *turn, int64_t now_us);

/* Counts a message of the peer (as by endpoint_peer_hash()): bytes received and journaled; records journaled, or 1 if
 * it was refused. */
void turn_count(struct turn *turn, uint64_t peer, size_t bytes, size_t records);

/* Whether this slice, or this turn, has reached a limit. */
bool turn_slice_is_over(const struct turn *turn, int64_t now_us);
bool turn_is_over(const struct turn *turn, int64_t now_us);

/* The replies have been sent. */
void turn_end(struct turn *turn);

#endif
