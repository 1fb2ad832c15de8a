// SPDX-License-Identifier: GPL-2.0
/*
 * What the shims ask for in a test that runs no walk over tables: mmu_rig.c has its
 * own, which count the work and know tests that are to die.
 */
#include <stdarg.h>

void unit_worked(void)
{
}

/* A lock that is held is taken again, say, or one that has to be held is not. */
void unit_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}
