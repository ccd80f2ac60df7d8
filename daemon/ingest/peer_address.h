/*
 * The address of a peer, for the log.
 */
#ifndef MOBEYE_INGEST_PEER_ADDRESS_H
#define MOBEYE_INGEST_PEER_ADDRESS_H

/* "192.0.2.7:41234", "[2001:db8::7]:41234", or for a Unix socket "uid 1000, pid 4711". */
#define PEER_ADDRESS_SIZE 80

/* From a connected socket. */
void peer_address_of_socket(int fd, char ret[PEER_ADDRESS_SIZE]);

/* From the Peer-Address of a ZeroMQ message, which has no port; NULL: unknown. */
void peer_address_of_property(const char *property, char ret[PEER_ADDRESS_SIZE]);

#endif
