/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Variants that run only when everything is to run.
 *
 * A fixture whose variants are all combinations of some settings runs by
 * default only those in which every two values occur together; VT_FULL=1 in the
 * environment runs all of them. What is left out says so on stderr, and
 * selftests/run collects it. After kselftest_harness.h only.
 */
#ifndef VHOST_TEST_FULL_H
#define VHOST_TEST_FULL_H

#include "sys.h"
#include "vhost_test.h"

static inline void vt_leave_out(struct __fixture_metadata *f,
				struct __fixture_variant_metadata *v)
{
	if (vt_full())
		return;
	/* as in the harness: only prev is circular; one variant has to stay */
	if (f->variant == v) {
		if (!v->next)
			return;
		v->next->prev = v->prev;
		f->variant = v->next;
	} else {
		v->prev->next = v->next;
		if (v->next)
			v->next->prev = v->prev;
		else
			f->variant->prev = v->prev;
	}
	vt_msg("left out without VT_FULL=1: %s.%s", f->name, v->name);
}

/*
 * Behind the variant. The harness registers variants in constructors with a
 * priority, which run before this one.
 */
#define VT_FULL_ONLY(fixture, variant)					\
	static void __attribute__((constructor))			\
	leave_out_##fixture##_##variant(void)				\
	{								\
		vt_leave_out(&_##fixture##_fixture_object,		\
			     &_##fixture##_##variant##_object);		\
	}

#endif
