#include "flow/turn.h"

#include <string.h>

void turn_slice(struct turn *turn, int64_t now_us)
{
    if (turn->records == 0)
        turn->since_us = now_us;
    turn->slice_since_us = now_us;
    turn->slice_records = turn->slice_bytes = 0;
}

void turn_count(struct turn *turn, uint64_t peer, size_t bytes, size_t records)
{
    turn->records += records;
    turn->bytes += bytes;
    turn->slice_records += records;
    turn->slice_bytes += bytes;
    turn->peers[peer % TURN_PEERS] += (uint32_t)bytes;
}

bool turn_slice_is_over(const struct turn *turn, int64_t now_us)
{
    return turn->slice_records >= TURN_SLICE_RECORDS || turn->slice_bytes >= TURN_SLICE_BYTES ||
           now_us - turn->slice_since_us >= TURN_SLICE_US;
}

static bool a_peer_sent_little(const struct turn *turn)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < TURN_PEERS; i++) {
        if (turn->peers[i] == 0)
            continue;
        least = turn->peers[i] < least ? turn->peers[i] : least;
        most = turn->peers[i] > most ? turn->peers[i] : most;
    }
    return least < most / TURN_LITTLE;
}

bool turn_is_over(const struct turn *turn, int64_t now_us)
{
    return turn->records >= TURN_RECORDS || turn->bytes >= TURN_BYTES ||
           (turn->records > 0 && now_us - turn->since_us >= TURN_US) || a_peer_sent_little(turn);
}

void turn_end(struct turn *turn)
{
    memset(turn, 0, sizeof(*turn));
}
