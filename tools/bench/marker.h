/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instructions by which vbench and mmubench tell the plugin where the
 * counted part begins and ends, and what in it is left out: a 7-byte NOP,
 * nopl disp32(%rax), whose displacement no compiler emits.  NOPs touch no
 * memory, so they are harmless anywhere.
 */
#ifndef VBENCH_MARKER_H
#define VBENCH_MARKER_H

#define MARK_BEGIN	0x56420b01
#define MARK_END	0x56420e02
#define MARK_PAUSE	0x56420d03
#define MARK_RESUME	0x56420d04

#define MARK_STR_(x)	#x
#define MARK_STR(x)	MARK_STR_(x)
#define mark(disp)	asm volatile("nopl " MARK_STR(disp) "(%%rax)" : : : "memory")

#endif
