#include "ctl/lib/unit.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"

int ctl_systemctl(const char *const *words)
{
    extern char **environ;
    pid_t child;
    int status = -1;
    if (posix_spawnp(&child, "systemctl", NULL, NULL, (char *const *)words, environ) != 0)
        return -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

char *ctl_unit_property(const char *unit, const char *property)
{
    char command[512], *text = NULL;
    size_t size = 0;
    if (strchr(unit, '\''))
        return NULL; /* no name of a unit */
    snprintf(command, sizeof(command), "systemctl show --value -p %s '%s' 2> /dev/null", property, unit);
    FILE *pipe = popen(command, "re");
    ssize_t len = pipe ? getdelim(&text, &size, '\0', pipe) : 0;
    if (len > 0 && text[len - 1] == '\n')
        len--;
    char *value = pipe && pclose(pipe) == 0 ? mem_strndup(len > 0 ? text : "", len > 0 ? (size_t)len : 0) : NULL;
    free(text);
    return value;
}
