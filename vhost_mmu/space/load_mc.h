/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading a word of guest memory that may be broken.
 */
#ifndef VHOST_MMU_LOAD_MC_H
#define VHOST_MMU_LOAD_MC_H

#include <asm/asm.h>

/**
 * vmmu_load_mc() - load a word; a memory error is not the end of the host
 * @word: variable that is set to it
 * @insn: the instruction, for the size of @word
 * @from: kernel address of guest memory
 * @failed: label to go to if the memory is broken
 *
 * One access, so that others may use the word as an atomic.  The empty asm keeps
 * compilers from losing the word, see GCC's bug 113921.
 */
#define vmmu_load_mc(word, insn, from, failed)				\
do {									\
	asm volatile goto("1: " insn " %[mem], %[reg]\n\t"		\
			  _ASM_EXTABLE_TYPE(1b, %l[failed],		\
					    EX_TYPE_DEFAULT_MCE_SAFE)	\
			  : [reg] "=r" (word)				\
			  : [mem] "m" (*(const typeof(word) *)(from))	\
			  : : failed);					\
	asm("");							\
} while (0)

#endif /* VHOST_MMU_LOAD_MC_H */
