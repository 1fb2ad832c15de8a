/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MINMAX_H
#define UNIT_LINUX_MINMAX_H

/* shim/mmu.h has its own. */
#ifndef min_t
#define min_t(type, x, y)						\
({									\
	type __x = (x), __y = (y);					\
									\
	__x < __y ? __x : __y;						\
})
#endif

#endif
