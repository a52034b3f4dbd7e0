/* The loop's promises: one callback or a cancel, freeing inside callbacks, an error hides no bytes.
 */
#include "../unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"

struct seen {
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer *timer;
	int fd, calls;
	size_t bytes;
	int end; /* what the last read said */
};

static void give_up(void *arg)
{
	struct seen *s = arg;

	loop_stop(s->loop, -1);
}

/* Runs with a deadline: -1 when it was reached. */
static int run(struct seen *s)
{
	struct loop_timer *deadline = loop_timer_new(s->loop, give_up, s);
	int code;

	assert_non_null(deadline);
	loop_timer_set(deadline, 5000);
	code = loop_run(s->loop);
	loop_timer_free(deadline);
	return code;
}

/* Reads a little a turn, as a role does, to the end. */
static void read_little(void *arg, int events)
{
	struct seen *s = arg;
	char block[100];
	ssize_t n;

	(void)events;
	s->calls++;
	n = recv(s->fd, block, sizeof(block), MSG_DONTWAIT);
	if (n > 0) {
		s->bytes += (size_t)n;
		return;
	}
	s->end = n == 0 ? 0 : errno;
	loop_stop(s->loop, 1);
}

static void bytes_before_an_error_are_all_read(void **state)
{
	struct seen s = { .loop = loop_new() };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s.fd = pair[0];
	s.watch = loop_fd_new(s.loop, s.fd, LOOP_READ, read_little, &s);
	assert_non_null(s.watch);
	for (int i = 0; i < 50; i++)
		assert_int_equal(send(pair[1], "0123456789", 10, 0), 10);
	assert_int_equal(send(pair[0], "unread", 6, 0), 6);
	assert_int_equal(close(pair[1]), 0); /* with bytes unread: an error condition here */
	assert_int_equal(run(&s), 1);
	assert_int_equal(s.bytes, 500);
	loop_fd_free(s.watch);
	loop_free(s.loop);
	(void)close(pair[0]);
}

static void free_itself(void *arg, int events)
{
	struct seen *s = arg;

	(void)events;
	s->calls++;
	loop_fd_free(s->watch);
	s->watch = NULL;
}

static void stop_with_7(void *arg)
{
	struct seen *s = arg;

	loop_stop(s->loop, 7);
}

static void a_watch_freed_in_its_callback_is_silent(void **state)
{
	struct seen s = { .loop = loop_new() };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s.watch = loop_fd_new(s.loop, pair[0], LOOP_READ, free_itself, &s);
	assert_int_equal(send(pair[1], "x", 1, 0), 1);
	s.timer = loop_timer_new(s.loop, stop_with_7, &s);
	loop_timer_set(s.timer, 20);
	assert_int_equal(run(&s), 7);
	assert_int_equal(s.calls, 1); /* the byte was never read, yet no second call */
	loop_timer_free(s.timer);
	loop_free(s.loop);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void no_event_is_asked_for_none_comes(void **state)
{
	struct seen s = { .loop = loop_new() };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s.fd = pair[0];
	s.watch = loop_fd_new(s.loop, pair[0], 0, read_little, &s);
	assert_int_equal(send(pair[1], "x", 1, 0), 1);
	s.timer = loop_timer_new(s.loop, stop_with_7, &s);
	loop_timer_set(s.timer, 20);
	assert_int_equal(run(&s), 7);
	assert_int_equal(s.calls, 0);
	assert_int_equal(close(pair[1]), 0);
	loop_fd_set(s.watch, LOOP_READ);
	assert_int_equal(run(&s), 1);
	assert_int_equal(s.bytes, 1);
	loop_fd_free(s.watch);
	loop_timer_free(s.timer);
	loop_free(s.loop);
	(void)close(pair[0]);
}

static void free_timer(void *arg)
{
	struct seen *s = arg;

	s->calls++;
	loop_timer_free(s->timer);
	s->timer = NULL;
	loop_defer(s->loop, stop_with_7, s);
}

static void a_timer_fires_once_and_may_free_itself(void **state)
{
	struct seen s = { .loop = loop_new() };

	(void)state;
	s.timer = loop_timer_new(s.loop, free_timer, &s);
	loop_timer_set(s.timer, 1);
	assert_int_equal(run(&s), 7);
	assert_int_equal(s.calls, 1);
	loop_free(s.loop);
}

static void on_signal(void *arg, int signal)
{
	struct seen *s = arg;

	assert_int_equal(signal, SIGUSR1);
	loop_stop(s->loop, 3);
}

static void a_signal_reaches_the_loop(void **state)
{
	struct seen s = { .loop = loop_new() };
	struct loop_signal *watch = loop_signal_new(s.loop, SIGUSR1, on_signal, &s);

	(void)state;
	assert_non_null(watch);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(run(&s), 3);
	loop_signal_free(watch);
	loop_free(s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_before_an_error_are_all_read),
		cmocka_unit_test(a_watch_freed_in_its_callback_is_silent),
		cmocka_unit_test(no_event_is_asked_for_none_comes),
		cmocka_unit_test(a_timer_fires_once_and_may_free_itself),
		cmocka_unit_test(a_signal_reaches_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
