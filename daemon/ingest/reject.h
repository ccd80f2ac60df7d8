/*
 * Why a message is rejected, as reported to its sender.
 */
#ifndef MOBEYE_INGEST_REJECT_H
#define MOBEYE_INGEST_REJECT_H

#include "model/alert.h"

/* In the order of the contract; reject_word() returns the words. */
enum reject_code { REJECT_MALFORMED, REJECT_INVALID, REJECT_TOO_LARGE, REJECT_FORBIDDEN, REJECT_COUNT };

struct reject {
    enum reject_code code;
    char field[64];   /* "data.device"; empty: the message as a whole */
    char reason[192]; /* what is wrong and what is allowed; of the sender's text only a hexadecimal account */
    struct str id;    /* the alert id where it was readable; a slice like those of struct alert */
};

const char *reject_word(enum reject_code code);

/* Fills all of ret; field and id may be empty. Returns false. */
bool reject_set(struct reject *ret, enum reject_code code, struct str id, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
