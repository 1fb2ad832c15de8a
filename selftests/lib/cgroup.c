// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "sys.h"
#include "vhost_test.h"

#define ALL	"/sys/fs/cgroup"

const char *vt_cgroup_make(void)
{
	if (vt_write_file(ALL "/cgroup.subtree_control", "+memory"))
		return "no memory controller in " ALL;
	rmdir(VT_CGROUP);
	return mkdir(VT_CGROUP, 0755) ? "cannot make " VT_CGROUP : NULL;
}

int vt_cgroup_enter(pid_t pid)
{
	return vt_write_file(VT_CGROUP "/cgroup.procs", "%d", pid);
}

void vt_cgroup_leave(void)
{
	vt_write_file(ALL "/cgroup.procs", "0");
	rmdir(VT_CGROUP);
}

long long vt_cgroup_read(const char *file, const char *field)
{
	size_t len = strlen(field);
	char line[128];
	long long n = -1;
	FILE *f;

	snprintf(line, sizeof(line), VT_CGROUP "/%s", file);
	f = fopen(line, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, field, len) && line[len] == ' ' &&
		    sscanf(line + len, "%lld", &n) == 1)
			break;
	}
	fclose(f);
	return n;
}

long long vt_cgroup_kernel(void)
{
	return vt_cgroup_read("memory.stat", "kernel");
}

long long vt_cgroup_kernel_wait(long long max)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	long long n;

	while ((n = vt_cgroup_kernel()) > max && vt_patient_ns() < end)
		vt_sleep_ms(20);
	return n;
}
