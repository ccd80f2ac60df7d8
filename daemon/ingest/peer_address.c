#include "ingest/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

void peer_address_of_socket(int fd, char ret[PEER_ADDRESS_SIZE])
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&peer;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&peer;
    struct ucred user = {0};
    char text[INET6_ADDRSTRLEN] = "";
    int rc = getpeername(fd, (struct sockaddr *)&peer, &len);
    len = sizeof(user);
    if (rc == 0 && peer.ss_family == AF_INET) {
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
        snprintf(ret, PEER_ADDRESS_SIZE, "%s:%u", text, ntohs(four->sin_port));
    } else if (rc == 0 && peer.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
        snprintf(ret, PEER_ADDRESS_SIZE, "[%s]:%u", text, ntohs(six->sin6_port));
    } else if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len) == 0) {
        snprintf(ret, PEER_ADDRESS_SIZE, "uid %u, pid %d", user.uid, user.pid);
    } else {
        snprintf(ret, PEER_ADDRESS_SIZE, "an unknown address");
    }
}

/* For ipc the property is HOST:UID:GID:PID. */
void peer_address_of_property(const char *property, char ret[PEER_ADDRESS_SIZE])
{
    unsigned uid, gid, pid;
    char end;
    if (!property)
        snprintf(ret, PEER_ADDRESS_SIZE, "an unknown address");
    else if (sscanf(property, "localhost:%u:%u:%u%c", &uid, &gid, &pid, &end) == 3)
        snprintf(ret, PEER_ADDRESS_SIZE, "uid %u, pid %u", uid, pid);
    else
        snprintf(ret, PEER_ADDRESS_SIZE, "%s", property);
}
