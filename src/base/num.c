/* Strict number parsing; see num.h. */
#include "base/num.h"

#include <errno.h>

int bb_num_parse_u64(struct bb_view text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value))
			return -ERANGE;
	}
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int bb_num_parse_size(struct bb_view text, uint64_t max, uint64_t *ret)
{
	uint64_t value, unit = 1;
	int r;

	if (text.n == 0)
		return -EINVAL;
	switch (text.p[text.n - 1]) {
	case 'K':
	case 'k':
		unit = 1024;
		break;
	case 'M':
	case 'm':
		unit = 1024 * 1024;
		break;
	case 'G':
	case 'g':
		unit = 1024ull * 1024 * 1024;
		break;
	default:
		break;
	}
	if (unit != 1)
		text.n--;
	r = bb_num_parse_u64(text, UINT64_MAX, &value);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(value, unit, &value) || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}
