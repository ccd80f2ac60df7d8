/*
 * The log: one line per event, its subject first: "endpoint cameras: ...". Lines go to stderr, prefixed with a syslog
 * priority if that is systemd's journal, else with the time. Callers must not log personal data (texts, addresses or
 * coordinates of homes) or passwords.
 */
#ifndef MOBEYE_BASE_LOG_H
#define MOBEYE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Determines, by JOURNAL_STREAM, whether stderr is the journal. */
void log_open(enum log_level highest);

/* Whether stderr is systemd's journal; false before log_open(). */
bool log_is_journal(void);

void log_line(enum log_level level, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(subject, ...)   log_line(LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warning(subject, ...) log_line(LOG_LEVEL_WARNING, subject, __VA_ARGS__)
#define log_info(subject, ...)    log_line(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(subject, ...)   log_line(LOG_LEVEL_DEBUG, subject, __VA_ARGS__)

/*
 * Limits messages that may repeat: the first is logged, the same text within 60 s is only counted, and the count is
 * logged with the next message or the recovery. A different text (in its first 255 bytes) is logged at once, but at
 * most ten within 60 s, so that a peer that can vary the text cannot fill the log. {0} is the initial state. Times are
 * monotonic times of the loop.
 */
struct rate_limiter {
    int64_t since_us; /* start of the 60 s; 0: no message since the last recovery */
    int64_t last_us;  /* of the last message */
    unsigned logged;  /* lines logged in the 60 s */
    uint64_t suppressed;
    char text[256];
};

void log_limited(struct rate_limiter *limiter, int64_t mono_us, enum log_level level, const char *subject,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Logs the line at info if there was a message since the last recovery. */
void log_recover(struct rate_limiter *limiter, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, if the last message is at least 60 s old: for conditions that end when they no longer occur. */
void log_recover_if_quiet(struct rate_limiter *limiter, int64_t mono_us, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
