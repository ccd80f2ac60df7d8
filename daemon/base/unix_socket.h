/*
 * Paths of Unix domain sockets.
 */
#ifndef MOBEYE_BASE_UNIX_SOCKET_H
#define MOBEYE_BASE_UNIX_SOCKET_H

/* Makes the path free for a socket: removes one that a killed process left behind. 0: nothing is at the path. -1 with
 * errno set, and what is there is kept: EADDRINUSE a process listens on it; EEXIST it is not a socket; or why that is
 * not known. Does not block. */
int unix_socket_claim(const char *path);

#endif
