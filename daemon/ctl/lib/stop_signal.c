#include "ctl/lib/stop_signal.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"

static volatile sig_atomic_t arrived;

static void on_signal(int signal)
{
    (void)signal;
    arrived = 1;
}

void stop_signal_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

bool stop_signal_arrived(void)
{
    return arrived;
}

void stop_signal_wait(int fd, int64_t us)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct timespec time = {us / CLOCK_SECOND, us % CLOCK_SECOND * 1000};
    sigset_t none;
    sigemptyset(&none);
    if (!arrived)
        ppoll(&poll_fd, fd >= 0 ? 1 : 0, &time, &none);
}
