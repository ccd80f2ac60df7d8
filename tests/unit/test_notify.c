/* What is sent to the service manager, and that nobody waits for it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

static char directory[] = "/tmp/mobeye-notify-XXXXXX";
static char path[100];
static int manager;

static void setup(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/s", directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path, 1);
}

static void teardown(void)
{
    close(manager);
    unlink(path);
    rmdir(directory);
}

TestSuite(notify, .init = setup, .fini = teardown, .timeout = 60);

static void expect(const char *text)
{
    char got[300] = "";
    cr_assert_gt(recv(manager, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
    cr_assert_eq(strncmp(got, text, strlen(text)), 0, "\"%s\" is not \"%s\"", got, text);
}

Test(notify, each_word_arrives)
{
    notify_ready();
    expect("READY=1");
    notify_reloading();
    expect("RELOADING=1\nMONOTONIC_USEC=");
    notify_status("%d wait", 3);
    expect("STATUS=3 wait");
    notify_watchdog();
    expect("WATCHDOG=1");
    notify_stopping();
    expect("STOPPING=1");
}

/* The queue of the socket holds some hundred at most: a blocking call would never return. */
Test(notify, a_manager_that_does_not_read_holds_nobody_up)
{
    for (int i = 0; i < 10000; i++)
        notify_status("%d", i);
    expect("STATUS=0");
}

Test(notify, the_abstract_namespace_is_known)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[60];
    int len = snprintf(name, sizeof(name), "@mobeye-test-%d", (int)getpid());
    memcpy(address.sun_path, name, (size_t)len);
    address.sun_path[0] = '\0';
    close(manager);
    manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + (size_t)len)), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_ready();
    expect("READY=1");
}

Test(notify, the_watchdog_is_ours_or_there_is_none)
{
    unsetenv("WATCHDOG_USEC");
    cr_assert_eq(notify_watchdog_interval_us(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    cr_assert_eq(notify_watchdog_interval_us(), 15000000);
    setenv("WATCHDOG_PID", "1", 1);
    cr_assert_eq(notify_watchdog_interval_us(), 0);
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
}
