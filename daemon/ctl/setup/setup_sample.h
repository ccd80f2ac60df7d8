/*
 * config/mobeyed.yaml and config/clients.yaml, embedded when the program was built.
 */
#ifndef MOBEYE_CTL_SETUP_SETUP_SAMPLE_H
#define MOBEYE_CTL_SETUP_SETUP_SAMPLE_H

#include <stddef.h>

extern const char setup_sample[], setup_clients[];
extern const size_t setup_sample_len, setup_clients_len;

#endif
