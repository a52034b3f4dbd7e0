/* What every unit test includes: cmocka with the headers it needs, and how to end main(). */
#ifndef BB_TESTS_UNIT_H
#define BB_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Asserts that r is the wanted code and that an error carries a sentence. */
#define assert_error(r, want, err)                        \
	do {                                              \
		int assert_error_r = (r);                 \
                                                          \
		assert_int_equal(assert_error_r, (want)); \
		assert_int_equal((err).code, (want));     \
		assert_true((err).msg[0] != '\0');        \
	} while (0)

#endif
