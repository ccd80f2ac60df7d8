/*
 * How much is taken before its replies go out: a turn is one group commit, taken in slices.
 *
 * A slice is what is taken in one go of the event loop, so that a flood holds up neither other events nor messages that
 * come meanwhile. A turn ends when nothing more waits, when it is full, or at the end of a slice in which somebody has
 * sent little and somebody else much: who sends little does not wait for the rest of a flood. Bytes count as received
 * and again as journaled: libzmq takes one message of each peer in its turn, however large it is.
 *
 * Pure: no clock, no memory of its own.
 */
#ifndef MOBEYE_FLOW_TURN_H
#define MOBEYE_FLOW_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURN_RECORDS       4096
#define TURN_BYTES         (2 * 1024 * 1024)
#define TURN_US            20000
#define TURN_SLICE_RECORDS 256
#define TURN_SLICE_BYTES   (256 * 1024)
#define TURN_SLICE_US      1000
/* Somebody who sent less than the most busy one divided by this sent little. */
#define TURN_LITTLE 8
/* Peers are told apart by a hash: two that share a place count as one. */
#define TURN_PEERS 256

/* {0} has taken nothing. */
struct turn {
    size_t records, bytes;
    size_t slice_records, slice_bytes; /* of them in this slice */
    int64_t since_us, slice_since_us;  /* monotonic; since_us holds where records > 0 */
    uint32_t peers[TURN_PEERS];        /* bytes of each */
};

/* Begins a slice at now_us, and a turn where there is none. */
void turn_slice(struct turn *turn, int64_t now_us);

/* A message of the peer (any hash of it) was taken: bytes received and journaled, records journaled or, of one that was
 * refused, 1. */
void turn_took(struct turn *turn, uint64_t peer, size_t bytes, size_t records);

/* More of it were too much for this slice; for this turn. */
bool turn_slice_is_over(const struct turn *turn, int64_t now_us);
bool turn_is_over(const struct turn *turn, int64_t now_us);

/* The replies are out. */
void turn_end(struct turn *turn);

#endif
