/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: changes of entries, and the memory of tables. */
#ifndef VHOST_MMU_CHANGE_H
#define VHOST_MMU_CHANGE_H

#include "iter.h"

bool vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new);
void vmmu_iter_set(struct vmmu_iter *iter, u64 new);
bool vmmu_iter_clear_bits(struct vmmu_iter *iter, u64 bits);

/* ptmem.c */
u64 *vmmu_pt_alloc(struct vmmu_table *table);
void vmmu_pt_free(struct vmmu_table *table, u64 *pt);
void vmmu_pt_free_rcu(struct vmmu_table *table, u64 *pt);
void vmmu_pt_account(struct vmmu_table *table, u64 *pt, int n);
int vmmu_context_topup(struct vmmu_context *ctx, unsigned int n);

#endif /* VHOST_MMU_CHANGE_H */
