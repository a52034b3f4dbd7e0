/*
 * Logging: one line to standard error, "program: level: text". Libraries (below src/role and
 * src/cli) log at debug only; programs decide the rest. Never a secret, never raw outsider bytes.
 */
#ifndef BB_BASE_LOG_H
#define BB_BASE_LOG_H

enum bb_log_level {
	BB_LOG_ERROR,
	BB_LOG_WARN,
	BB_LOG_INFO,
	BB_LOG_DEBUG,
};
#define BB_NUM_LOG_LEVELS 4

/* program lives as long as the process. Level from BOT_BOTTLE_LOG (error|warn|info|debug), default
 * warn. */
void bb_log_init(const char *program);
void bb_log(enum bb_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the operator asked to see, whatever the level: "program: text". */
void bb_log_show(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define bb_error(...) bb_log(BB_LOG_ERROR, __VA_ARGS__)
#define bb_warn(...)  bb_log(BB_LOG_WARN, __VA_ARGS__)
#define bb_info(...)  bb_log(BB_LOG_INFO, __VA_ARGS__)
#define bb_debug(...) bb_log(BB_LOG_DEBUG, __VA_ARGS__)

#endif
