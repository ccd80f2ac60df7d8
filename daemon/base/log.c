#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define REPEAT_EVERY_US (60 * CLOCK_SECOND)
#define LINES_MAX       10
#define TEXT_SIZE       1536

/* The only global state: the whole process has one log. */
static struct {
    enum log_level highest;
    bool journal;
} sink = {LOG_LEVEL_INFO, false};

/* JOURNAL_STREAM may be inherited although stderr is something else, hence the comparison: systemd.exec(5). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat seen;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &seen) == 0 &&
           seen.st_dev == device && seen.st_ino == inode;
}

void log_open(enum log_level highest)
{
    sink.highest = highest;
    sink.journal = stderr_is_journal();
}

bool log_is_journal(void)
{
    return sink.journal;
}

/* Control characters become '?': C0, DEL and, in UTF-8, C1, which a terminal would interpret too. */
static void mask_controls(char *line, int len)
{
    for (int i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)line[i], next = i + 1 < len ? (unsigned char)line[i + 1] : 0;
        if (byte == 0xC2 && next >= 0x80 && next < 0xA0)
            line[i] = line[i + 1] = '?';
        else if (byte < 0x20 || byte == 0x7F)
            line[i] = '?';
    }
}

/* One write() per line, so that lines of several processes do not mix. */
static void write_line(enum log_level level, const char *subject, const char *text)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    static const int priorities[] = {3, 4, 6, 7};
    char line[2048], when[CLOCK_RFC3339_SIZE];
    int len;
    if (sink.journal)
        len = snprintf(line, sizeof(line) - 1, "<%d>%s: %s", priorities[level], subject, text);
    else
        len = snprintf(line, sizeof(line) - 1, "%s %-7s %s: %s", clock_format_rfc3339(clock_wall_us(), 3, when),
                       words[level], subject, text);
    if (len > (int)sizeof(line) - 2)
        len = (int)sizeof(line) - 2;
    mask_controls(line, len);
    line[len++] = '\n';
    /* A failure cannot be reported anywhere. */
    if (write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}

void log_line(enum log_level level, const char *subject, const char *fmt, ...)
{
    if (level > sink.highest)
        return;
    char text[TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_line(level, subject, text);
}

void log_limited(struct rate_limiter *limiter, int64_t mono_us, enum log_level level, const char *subject,
                 const char *fmt, ...)
{
    char text[TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    limiter->last_us = mono_us;
    bool within = limiter->since_us != 0 && mono_us - limiter->since_us < REPEAT_EVERY_US;
    if (within && (limiter->logged >= LINES_MAX || strncmp(text, limiter->text, sizeof(limiter->text) - 1) == 0)) {
        limiter->suppressed++;
        return;
    }
    if (limiter->suppressed > 0)
        log_line(level, subject, "%s (%llu similar message%s suppressed)", text,
                 (unsigned long long)limiter->suppressed, limiter->suppressed == 1 ? "" : "s");
    else
        log_line(level, subject, "%s", text);
    if (!within)
        *limiter = (struct rate_limiter){.since_us = mono_us > 0 ? mono_us : 1, .last_us = mono_us};
    snprintf(limiter->text, sizeof(limiter->text), "%.*s", (int)sizeof(limiter->text) - 1, text);
    limiter->logged++;
    limiter->suppressed = 0;
}

static void log_recovery(struct rate_limiter *limiter, const char *subject, const char *fmt, va_list args)
{
    char text[TEXT_SIZE];
    vsnprintf(text, sizeof(text), fmt, args);
    if (limiter->suppressed > 0)
        log_info(subject, "%s (%llu message%s suppressed)", text, (unsigned long long)limiter->suppressed,
                 limiter->suppressed == 1 ? "" : "s");
    else
        log_info(subject, "%s", text);
    *limiter = (struct rate_limiter){0};
}

void log_recover(struct rate_limiter *limiter, const char *subject, const char *fmt, ...)
{
    if (limiter->since_us == 0)
        return;
    va_list args;
    va_start(args, fmt);
    log_recovery(limiter, subject, fmt, args);
    va_end(args);
}

void log_recover_if_quiet(struct rate_limiter *limiter, int64_t mono_us, const char *subject, const char *fmt, ...)
{
    if (limiter->since_us == 0 || mono_us - limiter->last_us < REPEAT_EVERY_US)
        return;
    va_list args;
    va_start(args, fmt);
    log_recovery(limiter, subject, fmt, args);
    va_end(args);
}
