/*
 * config/mobeyed.yaml, config/clients.yaml and config/mobeye-board.yaml, embedded when the program was built.
 */
#ifndef MOBEYE_CTL_SETUP_SETUP_SAMPLE_H
#define MOBEYE_CTL_SETUP_SETUP_SAMPLE_H

#include <stddef.h>

extern const char setup_sample[], setup_clients[], setup_board_sample[];
extern const size_t setup_sample_len, setup_clients_len, setup_board_sample_len;

#endif
