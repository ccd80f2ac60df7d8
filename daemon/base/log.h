/*
 * One line a happening, its subject first: "endpoint cameras: ...". To stderr; with a syslog priority in front where
 * systemd's journal reads it, with a time in front elsewhere. Never personal data: no text, address or
 * coordinate of a home, no password (the caller's duty).
 */
#ifndef MOBEYE_BASE_LOG_H
#define MOBEYE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Finds out once, by JOURNAL_STREAM, whether stderr is the journal. */
void log_open(enum log_level highest);

/* Whether lines go to systemd's journal; false before log_open(). */
bool log_is_journal(void);

void log_line(enum log_level level, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(subject, ...)   log_line(LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warning(subject, ...) log_line(LOG_LEVEL_WARNING, subject, __VA_ARGS__)
#define log_info(subject, ...)    log_line(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(subject, ...)   log_line(LOG_LEVEL_DEBUG, subject, __VA_ARGS__)

/*
 * A complaint that may repeat: the first is logged, the same within 60 s are counted, and the count is told with the
 * next one or with the recovery. Another text is logged at once, up to ten within 60 s: a peer that can vary the text
 * cannot fill the log. {0} is a quiet complaint. Times are the loop's monotonic ones.
 */
struct rate_limiter {
    int64_t since_us; /* when the 60 s began; 0: no complaint since the last recovery */
    int64_t last_us;  /* the last complaint */
    unsigned logged;  /* in the 60 s */
    uint64_t held_back;
    char text[256];
};

void log_limited(struct rate_limiter *limiter, int64_t mono_us, enum log_level level, const char *subject,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Logs the line at info if there was a complaint since the last recovery; else does nothing. */
void log_recover(struct rate_limiter *limiter, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same where the last complaint is 60 s old: for what is over when it does not happen again. */
void log_recover_if_quiet(struct rate_limiter *limiter, int64_t mono_us, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
