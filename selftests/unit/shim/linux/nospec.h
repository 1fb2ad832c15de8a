/* SPDX-License-Identifier: GPL-2.0 */
/* An index that is clamped is logged, so that tests see it was done. */
#ifndef UNIT_LINUX_NOSPEC_H
#define UNIT_LINUX_NOSPEC_H

unsigned long unit_nospec(unsigned long index, unsigned long size);

#define array_index_nospec(index, size) \
	((__typeof__(index))unit_nospec(index, size))

#endif
