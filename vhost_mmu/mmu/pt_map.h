/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mapping, the last step of a fault.
 */
#ifndef VHOST_MMU_PT_MAP_H
#define VHOST_MMU_PT_MAP_H

#include "pt_iter.h"
#include "pt_mem.h"

/**
 * struct vmmu_mapping - what is to be mapped
 * @gfn: guest page
 * @pfn: page of memory
 * @level: size of the entry
 * @bits: of the entry, VMMU_PTE_*
 */
struct vmmu_mapping {
	u64 gfn;
	unsigned long pfn;
	unsigned int level;
	u64 bits;
};

/**
 * enum vmmu_mapped - what became of a mapping
 * @VMMU_MAP_FIXED: the entry was installed, or given what it lacked
 * @VMMU_MAP_SPURIOUS: it was there
 * @VMMU_MAP_RETRY: another fault installed something else first
 * @VMMU_MAP_NOMEM: the context has no table left
 */
enum vmmu_mapped {
	VMMU_MAP_FIXED,
	VMMU_MAP_SPURIOUS,
	VMMU_MAP_RETRY,
	VMMU_MAP_NOMEM,
};

enum vmmu_mapped vmmu_map_first(struct vmmu_context *ctx,
				struct vmmu_iter *iter, enum vmmu_hold hold,
				const struct vmmu_mapping *map);
enum vmmu_mapped vmmu_map_here(struct vmmu_iter *iter,
			       const struct vmmu_mapping *map);

#endif /* VHOST_MMU_PT_MAP_H */
