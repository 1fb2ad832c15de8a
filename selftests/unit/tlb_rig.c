// SPDX-License-Identifier: GPL-2.0
/* Guest memory, the tables and the fault, as far as a soft TLB sees them. */
#include <endian.h>
#include <stdarg.h>

#include "tlb_rig.h"

static struct tlb_rig *current_rig;
int unit_rcu_depth;

void unit_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

u64 rig_random(struct tlb_rig *rig, u64 below)
{
	u64 x = rig->rng;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	rig->rng = x;
	return (x * 0x2545f4914f6cdd1dULL >> 16) % below;
}

/* Barriers order nothing here, and bounds are seen to be kept. */
void unit_rmb(void)
{
}

void unit_wmb(void)
{
}

void unit_mb(void)
{
	current_rig->barriers++;
}

unsigned long unit_nospec(unsigned long index, unsigned long size)
{
	unit_check(index < size);
	/* Of pages, or of descriptors in the ring. */
	if (size == RIG_NUM)
		current_rig->reads++;
	else
		current_rig->clamps++;
	return index;
}

void rcu_read_lock(void)
{
	unit_rcu_depth++;
}

void rcu_read_unlock(void)
{
	unit_check(unit_rcu_depth-- > 0);
}

static char small_memory[SMALL_PAGES + TOP_PAGES + 1][PAGE_SIZE]
	__aligned(PAGE_SIZE);
/* Never written. */
static char huge_memory[HUGE_PAGES][HUGE_SIZE] __aligned(HUGE_SIZE);

static void page_init(struct page_model *page, u64 gpa, unsigned int level,
		      char *host)
{
	page->gpa = gpa;
	page->level = level;
	page->size = vmmu_level_pages(level) << PAGE_SHIFT;
	page->host = host;
}

struct tlb_rig *rig_new(bool is_le)
{
	struct tlb_rig *rig = calloc(1, sizeof(*rig));
	struct page_model *page = rig->page;
	unsigned int i, n = SMALL_PAGES + TOP_PAGES;

	unit_check(rig);
	current_rig = rig;
	rig->rng = 1;
	memset(small_memory, 0, sizeof(small_memory));
	/* Backwards: what are neighbours for the guest is not for the kernel. */
	rig->spare = small_memory[n];
	for (i = 0; i < SMALL_PAGES; i++)
		page_init(page++, SMALL_GPA + i * PAGE_SIZE, VMMU_LEVEL_4K,
			  small_memory[--n]);
	for (i = 0; i < HUGE_PAGES; i++)
		page_init(page++, HUGE_GPA + i * HUGE_SIZE, VMMU_LEVEL_2M,
			  huge_memory[HUGE_PAGES - 1 - i]);
	for (i = 0; i < TOP_PAGES; i++)
		page_init(page++, TOP_GPA + i * PAGE_SIZE, VMMU_LEVEL_4K,
			  small_memory[--n]);

	for (i = 0; i < VMQ_PARTS; i++)
		rig->maps.map[i].vmq = &rig->vmq;
	rig->maps.map[VMQ_DESC].base = rig->desc;
	rig->maps.map[VMQ_AVAIL].base = rig->avail;
	rig->vmq.ring.num = RIG_NUM;
	rig->vmq.ring.is_le = is_le;
	rig->vmq.mutex.held = true;
	rig->vmq.direct = true;
	rig->vmq.mmu = &rig->mmu;
	rig->vmq.maps = &rig->maps;
	rig->vmq.burst = &rig->burst;
	rig->vmq.tlb = &rig->tlb;
	rig->burst.ahead = 1;
	vmq_tlb_init(&rig->tlb, &rig->vmq);
	return rig;
}

void rig_free(struct tlb_rig *rig)
{
	unit_check(!rig->vmq.section.base.lock.held && !unit_rcu_depth);
	free(rig);
}

struct page_model *rig_page(struct tlb_rig *rig, u64 gpa)
{
	if (gpa - SMALL_GPA < SMALL_PAGES * PAGE_SIZE)
		return &rig->page[(gpa - SMALL_GPA) / PAGE_SIZE];
	if (gpa - HUGE_GPA < HUGE_PAGES * HUGE_SIZE)
		return &rig->page[SMALL_PAGES + (gpa - HUGE_GPA) / HUGE_SIZE];
	if (gpa >= TOP_GPA)
		return &rig->page[PAGES - TOP_PAGES +
				  (gpa - TOP_GPA) / PAGE_SIZE];
	return NULL;
}

char *rig_host(struct tlb_rig *rig, u64 gpa)
{
	struct page_model *page = rig_page(rig, gpa);

	unit_check(page);
	return page->host + (gpa - page->gpa);
}

/* As vmmu_sections_flush() does it. */
void rig_flush(struct tlb_rig *rig, u64 first_gfn, u64 last_gfn)
{
	spin_lock(&rig->vmq.section.base.lock);
	rig->vmq.section.base.flush(&rig->vmq.section.base, first_gfn, last_gfn);
	spin_unlock(&rig->vmq.section.base.lock);
}

void rig_unmap(struct tlb_rig *rig, struct page_model *page)
{
	page->mapped = false;
	page->writable = false;
	rig_flush(rig, page->gpa >> PAGE_SHIFT,
		  (page->gpa + (page->size - 1)) >> PAGE_SHIFT);
}

/* Other memory of the same content takes its place. */
void rig_replace(struct tlb_rig *rig, struct page_model *page)
{
	struct page_model *other = rig_page(rig, page->gpa ^ HUGE_SIZE);
	char *old = page->host;

	if (page->size == HUGE_SIZE) {
		page->host = other->host;
		other->host = old;
		rig_unmap(rig, other);
	} else {
		page->host = rig->spare;
		memcpy(page->host, old, PAGE_SIZE);
		memset(old, 0xaa, PAGE_SIZE);
		rig->spare = old;
	}
	rig_unmap(rig, page);
}

/* ------------------------------------------------------- the kernel's side */

bool vmq_section_begin_slow(struct vmq *vmq)
{
	unit_die("the ring is missing");
}

bool vmmu_lookup_in_section(struct vmmu *mmu, struct vmmu_section *section,
			    u64 gfn, bool write, struct vmmu_leaf *leaf)
{
	struct page_model *page = rig_page(current_rig, gfn << PAGE_SHIFT);

	unit_check(unit_rcu_depth);
	unit_check(mmu == &current_rig->mmu);
	unit_check(section == &current_rig->vmq.section.base &&
		   section->lock.held);
	current_rig->lookups++;
	if (!page || !page->mapped || (write && !page->writable) ||
	    page->backing == SECRET)
		return false;
	page->dirty |= write;
	leaf->level = page->level;
	leaf->pte = vmmu_pte_make(__pa(page->host) >> PAGE_SHIFT, 0);
	return true;
}

void vmmu_context_init(struct vmmu_context *ctx, struct vmmu *mmu,
		       struct vmmu_dirty_ring *ring)
{
	ctx->mmu = mmu;
}

void vmmu_context_destroy(struct vmmu_context *ctx)
{
	unit_check(ctx->mmu == &current_rig->mmu);
}

long vmmu_fault(struct vmmu_context *ctx, u64 gfn, unsigned int npages,
		bool write, bool *user)
{
	struct tlb_rig *rig = current_rig;
	struct page_model *page = rig_page(rig, gfn << PAGE_SHIFT);

	unit_check(!rig->vmq.section.base.lock.held && !unit_rcu_depth);
	unit_check(npages == 1);
	rig->faults++;
	*user = false;
	if (rig_random(rig, 100) < rig->disturb)
		rig_flush(rig, 0, 0);
	if (rig_random(rig, 100) < rig->refuse)
		return VMMU_FAULT_RETRY;
	if (!page)
		return -EFAULT;
	if (write && page->backing == READ_ONLY)
		return -EPERM;
	page->mapped = true;
	if (page->backing == SECRET || (write && page->backing == FILE_BACKED))
		*user = true;
	else if (write)
		page->writable = true;
	if (rig_random(rig, 100) < rig->lose)
		rig_unmap(rig, page);
	return 1;
}

/* ------------------------------------------------------ the bitmap's side */

void vmq_log_set_range(struct vmq *vmq, u64 first, u64 last)
{
	struct tlb_rig *rig = current_rig;

	unit_check(vmq == &rig->vmq && !vmq->section.base.lock.held);
	/* What was written is visible. */
	unit_check(rig->barriers);
	unit_check(rig->nr_bits < RIG_BITS);
	rig->bits[rig->nr_bits++] = (struct vmq_log_range){ first, last };
}

void vmq_log_unmap(struct vmq *vmq)
{
	unit_check(vmq == &current_rig->vmq && !vmq->log->nr);
}

void eventfd_signal(struct eventfd_ctx *ctx)
{
	unit_check(ctx == (void *)current_rig);
	current_rig->signals++;
}

void *unit_alloc(size_t size)
{
	return calloc(1, size);
}

void unit_free(void *p)
{
	free(p);
}

/* ------------------------------------------------------- the driver's side */

static u16 word(const struct tlb_rig *rig, u16 v)
{
	return rig->vmq.ring.is_le ? htole16(v) : htobe16(v);
}

void rig_desc(struct tlb_rig *rig, struct vring_desc *desc, u64 addr, u32 len,
	      u16 flags, u16 next)
{
	const bool le = rig->vmq.ring.is_le;
	const struct vring_desc new = {
		.addr = le ? htole64(addr) : htobe64(addr),
		.len = le ? htole32(len) : htobe32(len),
		.flags = word(rig, flags),
		.next = word(rig, next),
	};

	memcpy(desc, &new, sizeof(new));
}

void rig_avail(struct tlb_rig *rig, u16 idx, u16 head)
{
	rig->avail[2 + idx % RIG_NUM] = word(rig, head);
	rig->avail[1] = word(rig, idx + 1);
}

/* ------------------------------------------------- by user access, so to say */

/**
 * struct user_view - guest memory as the owner sees it
 * @rig: whose
 * @chain: what is learnt of the chain on the way
 * @table: next descriptor of the table
 * @left: its bytes
 */
struct user_view {
	struct tlb_rig *rig;
	struct chain_model *chain;
	u64 table;
	u64 left;
};

/* Every page of a range; how many, or what is wrong. */
static int look_at(struct user_view *view, u64 addr, u64 len, bool write)
{
	struct page_model *page;
	u64 n;
	int cost = 0;

	for (; len; len -= n, addr += n) {
		page = rig_page(view->rig, addr);
		if (!page)
			return -EFAULT;
		if (write && page->backing == READ_ONLY)
			return -EPERM;
		if (page->backing == SECRET ||
		    (write && page->backing == FILE_BACKED))
			view->chain->hidden = true;
		n = min(len, page->size - (addr - page->gpa));
		cost++;
	}
	return cost;
}

static int user_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
			  unsigned int iov_size, int access)
{
	struct user_view *view = ctx;
	int cost = look_at(view, addr, len, access == VHOST_ACCESS_WO);

	if (cost <= 0)
		return cost;
	if (!iov_size)
		return -ENOBUFS;
	view->chain->cost += cost;
	iov->iov_base = (void *)addr;
	iov->iov_len = len;
	return 1;
}

static int user_table_begin(void *ctx, u64 addr, u32 len)
{
	struct user_view *view = ctx;
	const bool hidden = view->chain->hidden;
	int cost = look_at(view, addr, len, false);

	/* It matters only as far as the table is used. */
	view->chain->hidden = hidden;
	view->chain->beyond |= cost < 0;
	view->table = addr;
	view->left = len;
	return min(cost, 0);
}

static bool user_table_read(void *ctx, struct vring_desc *desc)
{
	struct user_view *view = ctx;
	int cost = look_at(view, view->table, sizeof(*desc), false);
	unsigned int i;

	unit_check(view->left >= sizeof(*desc) && cost > 0);
	view->chain->cost += cost;
	for (i = 0; i < sizeof(*desc); i++)
		((char *)desc)[i] = *rig_host(view->rig, view->table + i);
	view->table += sizeof(*desc);
	view->left -= sizeof(*desc);
	return true;
}

static const struct vmq_memory user_memory = {
	.translate = user_translate,
	.indirect_begin = user_table_begin,
	.indirect_read = user_table_read,
};

void rig_next(struct tlb_rig *rig, struct vmq_split *s, struct vmq_burst *b,
	      struct chain_model *chain)
{
	struct user_view view = { .rig = rig, .chain = chain };
	/* The test may ask within a section of its own. */
	const bool held = rig->vmq.section.base.lock.held;
	struct vmq_chain *c;

	chain->cost = 0;
	chain->hidden = false;
	chain->beyond = false;
	while (b->next == b->nr) {
		if (!held)
			spin_lock(&rig->vmq.section.base.lock);
		chain->ret = vmq_split_gather(s, b, &vmq_kernel_access,
					      &rig->maps);
		if (!held)
			spin_unlock(&rig->vmq.section.base.lock);
		if (chain->ret == VMQ_AGAIN)
			continue;
		if (!chain->ret && !b->nr)
			chain->ret = s->num;
		if (chain->ret)
			return;
	}

	c = &b->chain[b->next];
	chain->ret = vmq_split_expand(s, &user_memory, &view, &b->desc[c->first],
				      c->count, chain->iov, RIG_IOVS,
				      &chain->out, &chain->in);
	if (chain->ret)
		return;
	b->next++;
	s->last_avail_idx++;
	chain->ret = c->head;
}

/* Nobody counts here. */
void unit_worked(void)
{
}
