# SPDX-License-Identifier: GPL-2.0
"""Compare a result with goals.json."""

import statistics

import mmu
import net
from groups import DEVICE_SIDE


def find(result, kernel, work, device):
    """The measurement of these three, or None."""
    for m in result["measurements"]:
        if (m["kernel"], m["work"], m["device"]) == (kernel, work, device):
            return m
    return None


def figure(m, measure, sender=None):
    """One figure of a measurement; some are made of others.

    A sender of packets does user access of its own, which none of the devices
    can help: "receiver" is the device side without it.
    """
    if measure == "receiver":
        return figure(m, "device side") - figure(sender, "device side") if sender else None
    if measure == "straight":
        return m["kernel_total"]["insns"] - m["kernel_total"]["rep"]
    if measure == "device side":
        return sum(m["groups"][g]["insns"] for g in DEVICE_SIDE if g in m["groups"])
    return m["kernel_total"][measure]


def listed(value):
    """A goal may stand for several works or measures."""
    return value if isinstance(value, list) else [value]


def outcome(what, value, limit, least=False):
    """Print one goal; return whether it is missed."""
    if value is None or limit is None:
        print(f"MISSED  {what}: not measured")
        return True
    met = value >= limit if least else value <= limit
    print(f"{'met   ' if met else 'MISSED'}  {what} {value:.2f}, "
          f"at {'least' if least else 'most'} {limit:.2f}")
    return not met


def check_counts(result, goals):
    """What a packet may cost."""
    missed = 0
    works = {}
    for kernel in sorted({m["kernel"] for m in result["measurements"]}):
        for goal in goals:
            if goal.get("kernel", kernel) != kernel:
                continue
            for work in listed(goal["work"]):
                m = find(result, kernel, work, goal["device"])
                stock = find(result, kernel, work, "stock")
                sender = find(result, kernel, "send", "none")
                for measure in listed(goal["measure"]):
                    limit = goal.get("max")
                    if limit is None and stock:
                        limit = goal["max_of_stock"] * figure(stock, measure)
                    bad = outcome(f"{kernel} {work} {goal['device']}: {measure}",
                                  figure(m, measure, sender) if m else None, limit)
                    missed += bad
                    if bad and m:
                        works[work] = True
    if works:
        print("What is left, by function: tools/bench/run --load FILE --top 40 "
              + " ".join(f"--work {work}" for work in works))
    return missed


def check_wall(result, goals):
    """How much faster it has to be."""
    missed = 0
    for kernel in sorted({m["kernel"] for m in result["measurements"]}):
        for goal in goals:
            ratios = [w["ratios"] for w in result["wall"] if kernel == w["kernel"] and
                      (w["work"], w["device"]) == (goal["work"], goal["device"])]
            missed += outcome(f"{kernel} {goal['work']} {goal['device']}: packet rate against stock",
                              statistics.median(ratios[0]) if ratios else None,
                              goal["min"], least=True)
    return missed


def check(result, goals, only=None):
    """Print each goal's outcome, perhaps of one part; return how many are missed."""
    print("\n== goals ==")
    missed = 0
    if only in (None, "packets"):
        if not result["measurements"]:
            missed += outcome("packets", None, None)
        missed += check_counts(result, goals["goals"])
        missed += check_wall(result, goals["wall"])
    if only == "mmu" or (not only and "mmu" in result):
        missed += mmu.check(result, goals["mmu"])
    if only == "net" or (not only and "net" in result):
        missed += net.check(result, goals["net"], outcome)
    return missed
