/* SPDX-License-Identifier: GPL-2.0 */
#include_next <linux/limits.h>
#ifndef UNIT_LINUX_LIMITS_H
#define UNIT_LINUX_LIMITS_H

#include <limits.h>

#endif
