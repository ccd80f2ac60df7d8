/*
 * What the codes of alarm equipment mean: SIA event codes (two letters; ANSI/SIA DC-03) and Contact-ID events (three
 * characters; ANSI/SIA DC-05). The whole table is in dc09_codes.c; a code that is not in it is KIND_UNKNOWN.
 */
#ifndef MOBEYE_INGEST_DC09_CODES_H
#define MOBEYE_INGEST_DC09_CODES_H

#include "model/alert.h"

struct dc09_meaning {
    enum alert_kind kind;
    enum alert_phase phase;
    uint32_t flags; /* FLAG_VERIFIED (BV); FLAG_CANCEL (BC), which closes nothing, hence PHASE_UPDATE; or 0 */
};

struct dc09_meaning dc09_code_sia(struct str code);

/* qualifier: '1' new, '3' restore, '6' still present (PHASE_UPDATE); with any other the event is unknown. */
struct dc09_meaning dc09_code_cid(char qualifier, struct str event);

#endif
