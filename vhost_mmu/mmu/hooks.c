// SPDX-License-Identifier: GPL-2.0
/*
 * The test hook's body: sleeps for the time in the module parameter.  The
 * selftests change the page meanwhile and expect the install to be refused.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>

#include "hooks.h"

static unsigned int test_install_delay_ms;
module_param(test_install_delay_ms, uint, 0600);
MODULE_PARM_DESC(test_install_delay_ms,
		 "debug kernels only: hold each map install for this long");

/**
 * vmmu_hook_install() - stop between look-up and publication, if told to
 *
 * Context: process context, may sleep.
 */
void vmmu_hook_install(void)
{
	unsigned int ms = READ_ONCE(test_install_delay_ms);

	if (ms)
		msleep(ms);
}
