#include "base/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* libsystemd's sd_notify() blocks when the socket is not read, and the event loop with it. This function drops the
 * message instead. */
static void send_state(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void send_state(const char *fmt, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len > sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract namespace */
    char text[512];
    va_list args;
    va_start(args, fmt);
    int text_len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (text_len < 0 || (size_t)text_len >= sizeof(text))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* A failure cannot be remedied, and nothing depends on it. */
    (void)sendto(fd, text, (size_t)text_len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

void notify_ready(void)
{
    send_state("READY=1");
}

void notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* the clock that systemd uses */
    send_state("RELOADING=1\nMONOTONIC_USEC=%" PRId64, (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec / 1000);
}

void notify_stopping(void)
{
    send_state("STOPPING=1");
}

void notify_watchdog(void)
{
    send_state("WATCHDOG=1");
}

void notify_status(const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    send_state("STATUS=%s", text);
}

int64_t notify_watchdog_interval_us(void)
{
    const char *allowed = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!allowed || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    long long us = strtoll(allowed, NULL, 10);
    return us > 0 ? us / 2 : 0;
}
