/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MINMAX_H
#define UNIT_LINUX_MINMAX_H

#define min_t(type, x, y)						\
({									\
	type __x = (x), __y = (y);					\
									\
	__x < __y ? __x : __y;						\
})

#endif
