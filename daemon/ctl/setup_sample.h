/*
 * config/mobeyed.yaml, as it was when the program was built.
 */
#ifndef MOBEYE_CTL_SETUP_SAMPLE_H
#define MOBEYE_CTL_SETUP_SAMPLE_H

#include <stddef.h>

extern const char setup_sample[];
extern const size_t setup_sample_len;

#endif
