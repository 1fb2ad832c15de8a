// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU TCG plugin of the benchmark: counts what the guest executes between two
 * marker instructions (marker.h).  Two more leave out what lies between them.
 *
 * Every translation block has one inline counter; the file written at the end
 * marker gives the blocks that ran with the sizes of their instructions, and
 * tools/bench/run resolves them to kernel symbols.  The instructions hardware
 * charges for and TCG does not (STAC, CLAC, LFENCE, locked operations) and the
 * string instructions, which count once per iteration, have a counter each.
 *
 * Instructions below KERNEL_BASE belong to user space and share one set of
 * counters: their addresses mean nothing across processes.
 *
 * The counters are plain memory increments, so one virtual CPU is required; it
 * also makes all callbacks below run in one thread.
 *
 * Arguments: out=FILE.  The plugin interface is version 1 (QEMU 4.2 to 8.2);
 * Debian ships no header for it, hence the declarations.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marker.h"

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;

struct qemu_info {
	const char *target_name;
	struct { int min, cur; } version;
	bool system_emulation;
	struct { int smp_vcpus, max_vcpus; } system;
};

enum { CB_NO_REGS };
enum { INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
		void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
		int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
		int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int vcpu, void *data), int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t idx);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
			       int argc, char **argv);

#define KERNEL_BASE	0xffff800000000000ULL
#define BUCKETS		(1 << 18)
#define MAX_CELLS	(1 << 21)

enum kind { K_NONE, K_STAC, K_CLAC, K_LFENCE, K_LOCK, K_REP, K_MAX };

static const char *const kind_name[K_MAX] = {
	[K_STAC] = "stac", [K_CLAC] = "clac", [K_LFENCE] = "lfence",
	[K_LOCK] = "lock", [K_REP] = "rep",
};

/* One counter: of a kernel block (kind K_NONE) or of one special instruction. */
struct cell {
	struct cell *next;
	uint64_t vaddr;
	/* Of its numbers in counts[] and sums[]. */
	size_t index;
	enum kind kind;
	/* Instruction sizes, one hex digit each; empty for a special one. */
	char sizes[];
};

static struct cell *cells[BUCKETS];
static size_t used_cells;
/* Since the last pause, and before it: apart, because all are walked often. */
static uint64_t counts[MAX_CELLS], sums[MAX_CELLS];
/* Of user space: all instructions at K_NONE, the special ones at their kind. */
static uint64_t user[K_MAX], user_sum[K_MAX];
static bool counting, paused;
static FILE *out;

/* The counter of a block or instruction: one for all its translations. */
static uint64_t *counter(uint64_t vaddr, enum kind kind, const char *sizes)
{
	uint64_t hash = (vaddr * 8 + kind) * 0x9e3779b97f4a7c15ULL;
	struct cell **head = &cells[hash >> 46];
	struct cell *c;

	for (c = *head; c; c = c->next)
		if (c->vaddr == vaddr && c->kind == kind && !strcmp(c->sizes, sizes))
			return &counts[c->index];
	c = calloc(1, sizeof(*c) + strlen(sizes) + 1);
	if (!c || used_cells == MAX_CELLS) {
		fprintf(stderr, "vbench plugin: out of memory for counters\n");
		abort();
	}
	c->vaddr = vaddr;
	c->kind = kind;
	strcpy(c->sizes, sizes);
	c->index = used_cells++;
	c->next = *head;
	*head = c;
	return &counts[c->index];
}

/* Which of the counted kinds the instruction is; a few bytes tell. */
static enum kind classify(const uint8_t *p, size_t size)
{
	const uint8_t *end = p + size;
	bool lock = false, rep = false;
	uint8_t op, modrm;

	for (; p < end; p++) {
		if (*p == 0xf0)
			lock = true;
		else if (*p == 0xf2 || *p == 0xf3)
			rep = true;
		else if (*p != 0x66 && *p != 0x67 && *p != 0x2e && *p != 0x3e &&
			 *p != 0x26 && *p != 0x36 && *p != 0x64 && *p != 0x65 &&
			 (*p & 0xf0) != 0x40)
			break;
	}
	if (lock)
		return K_LOCK;
	if (p == end)
		return K_NONE;
	op = p[0];
	if (rep && ((op >= 0x6c && op <= 0x6f) || (op >= 0xa4 && op <= 0xa7) ||
		    (op >= 0xaa && op <= 0xaf)))
		return K_REP;
	if (end - p < 2)
		return K_NONE;
	modrm = p[1];
	/* xchg with memory locks without being told to. */
	if ((op == 0x86 || op == 0x87) && modrm < 0xc0)
		return K_LOCK;
	if (op != 0x0f || end - p < 3)
		return K_NONE;
	if (p[1] == 0x01 && p[2] == 0xcb)
		return K_STAC;
	if (p[1] == 0x01 && p[2] == 0xca)
		return K_CLAC;
	if (p[1] == 0xae && (p[2] & 0xf8) == 0xe8)
		return K_LFENCE;
	return K_NONE;
}

/* Return: the displacement of a marker, else 0. */
static uint32_t marker(const uint8_t *p, size_t size)
{
	uint32_t disp;

	if (size != 7 || p[0] != 0x0f || p[1] != 0x1f || p[2] != 0x80)
		return 0;
	memcpy(&disp, p + 3, sizeof(disp));
	return disp == MARK_BEGIN || disp == MARK_END || disp == MARK_PAUSE ||
	       disp == MARK_RESUME ? disp : 0;
}

static void clear_counts(void)
{
	memset(counts, 0, used_cells * sizeof(counts[0]));
	memset(user, 0, sizeof(user));
}

static void begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	clear_counts();
	memset(sums, 0, used_cells * sizeof(sums[0]));
	memset(user_sum, 0, sizeof(user_sum));
	counting = true;
	paused = false;
}

static void pause_counts(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (!counting || paused)
		return;
	for (size_t i = 0; i < used_cells; i++)
		sums[i] += counts[i];
	for (int k = 0; k < K_MAX; k++)
		user_sum[k] += user[k];
	paused = true;
}

static void resume_counts(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (!counting || !paused)
		return;
	clear_counts();
	paused = false;
}

/* Write one section: header, user totals, then the kernel's cells. */
static void end(unsigned int vcpu, void *data)
{
	pause_counts(vcpu, data);
	if (!counting)
		return;
	counting = false;
	fprintf(out, "section\nuser insns %" PRIu64 "\n", user_sum[K_NONE]);
	for (int k = K_STAC; k < K_MAX; k++)
		fprintf(out, "user %s %" PRIu64 "\n", kind_name[k], user_sum[k]);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct cell *c = cells[i]; c; c = c->next) {
			if (!sums[c->index])
				continue;
			fprintf(out, "%s %" PRIx64 " %" PRIu64 " %s\n",
				c->kind ? "insn" : "block", c->vaddr, sums[c->index],
				c->kind ? kind_name[c->kind] : c->sizes);
		}
	}
	fprintf(out, "end\n");
	fflush(out);
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	uint64_t start = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	bool kernel = start >= KERNEL_BASE;
	char *sizes = malloc(n + 1);

	(void)id;
	if (!sizes)
		abort();
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *bytes = qemu_plugin_insn_data(insn);
		size_t size = qemu_plugin_insn_size(insn);
		enum kind kind = classify(bytes, size);
		uint32_t mark = kernel ? 0 : marker(bytes, size);
		uint64_t *special = &user[kind];

		sizes[i] = "0123456789abcdef"[size & 15];
		if (kind && kernel)
			special = counter(qemu_plugin_insn_vaddr(insn), kind, "");
		if (kind)
			qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64,
								   special, 1);
		if (mark)
			qemu_plugin_register_vcpu_insn_exec_cb(insn,
					mark == MARK_BEGIN ? begin :
					mark == MARK_END ? end :
					mark == MARK_PAUSE ? pause_counts : resume_counts,
					CB_NO_REGS, NULL);
	}
	sizes[n] = 0;
	if (kernel)
		qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64,
				counter(start, K_NONE, sizes), 1);
	else
		qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64,
							 &user[K_NONE], n);
	free(sizes);
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
			int argc, char **argv)
{
	if (!info->system_emulation || strcmp(info->target_name, "x86_64") ||
	    info->system.smp_vcpus != 1) {
		fprintf(stderr, "vbench plugin: needs qemu-system-x86_64 with -smp 1\n");
		return -1;
	}
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "vbench plugin: the one argument is out=FILE\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
