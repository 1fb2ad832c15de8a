# SPDX-License-Identifier: GPL-2.0
"""Sort kernel functions into the groups the benchmark reports.

A module's function goes by its module, everything else by its name.  The
first rule that matches wins, so the exceptions stand before the broad ones.
"""

import re

GROUPS = (
    "vhost core", "net backend", "rings", "translation", "user access", "plain copies",
    "page allocation", "tun, tap, XDP", "socket, skb, net core",
    "scheduler, locking, timers", "other",
)

# What a device does of a packet's work: stock's functions of vhost, vhost_net
# and vhost_iotlb, user access, the checks of usercopy and iov_iter; ours the same.
DEVICE_SIDE = ("vhost core", "net backend", "rings", "translation", "user access", "plain copies")

# The folders of the module under test: its static functions carry no prefix,
# so the object file that defines them tells where they belong.
FOLDERS = {
    "space": "translation",
    "mmu": "translation",
    "virtqueue": "rings",
    "dev": "vhost core",
    "net": "net backend",
}

_MODULES = (
    ("vhost", r"translate_desc|iotlb_access_ok|vq_meta_prefetch|vhost_iotlb", "translation"),
    ("vhost", r"_?_?vhost_(get_vq_desc|get_avail|get_used|add_used|update_used|notify$|notify\.|"
              r"signal|enable_notify|disable_notify|vq_avail_empty|discard|put_used|"
              r"copy_(to|from)_user|get_desc)|get_indirect|next_desc", "rings"),
    ("vhost", r"", "vhost core"),
    ("vhost_net", r"", "net backend"),
    ("vhost_iotlb", r"", "translation"),
    ("vhost_mmu_net", r"", "net backend"),
    ("vhost_mmu", r"vmmu_", "translation"),
    ("vhost_mmu", r"vmq_", "rings"),
    ("vhost_mmu", r"vmnet_", "net backend"),
    ("vhost_mmu", r"", "vhost core"),
    ("tun", r"", "tun, tap, XDP"),
    ("tap", r"", "tun, tap, XDP"),
    ("bpf", r"", "tun, tap, XDP"),
)

_NAMES = (
    ("plain copies", r"_?_?mem(cpy|move)|copy_mc_"),
    ("user access",
     r"_?copy_(to|from)_(user|iter)|_copy_(to|from)_iter|copy_user_|copy_page_(to|from)_iter|"
     r"rep_movs|rep_stos|__(get|put)_user|__check_(object|heap_object)|check_stack_object|"
     r"check_heap_object|__virt_addr_valid|is_vmalloc_addr|iov_iter|import_(ubuf|iovec|single)|"
     r"__import_iovec|copy_?(in|out)$|simple_copy_to_iter|__clear_user|strncpy_from_user|"
     r"move_addr_to|usercopy|hash_and_copy"),
    ("page allocation",
     r"clear_page|_?_?alloc_pages|__page_frag|page_frag|_?_?free_pages|__?free_unref|free_unref|"
     r"get_page_from_freelist|rmqueue|__rmqueue|__?free_one_page|free_tail|free_pcp|free_compound|"
     r"prep_(new|compound)|post_alloc|kernel_init_pages|__zone_watermark|zone_watermark|"
     r"get_pfnblock|__mod_(zone|node|lruvec)|__folio_put|folio_|__put_page|put_page|destroy_large|"
     r"free_large|bad_range|decay_pcp|nr_pcp|first_zones|next_zone|policy_node|kmem_cache_|"
     r"__kmem_cache|kmalloc|__kmalloc|kfree$|__slab_free|___slab_alloc|__slab_alloc|slab_|"
     r"put_cpu_partial|get_partial|cache_from_obj|memcg_slab|__?refill_obj|obj_cgroup|"
     r"should_fail|__skb_page_frag|skb_page_frag_refill|check_new_page|__unfreeze_partials"),
    ("tun, tap, XDP", r"tun_|tap_|bpf_prog|bpf_dispatcher|xdp_|bpf_xdp|do_xdp_generic"),
    ("socket, skb, net core",
     r"_?_?(skb|netif|napi|dev_|neigh|qdisc|sock_|sk_|sockfd|packet_|eth_|build_skb|alloc_skb|"
     r"netdev|net_|fq_codel|pfifo|sch_|validate_xmit|consume_skb|kfree_skb|flow_dissect|"
     r"sys_sendto|sys_sendmsg|x64_sys_send|alloc_skb_with|virtio_net_hdr|passthru|dst_|ip_|ipv6_|"
     r"dev_kfree|gro_|enqueue_to_backlog|process_backlog|rps_|harmonize|list_skb|nf_|local_bh)|"
     r"memset|security_socket|apparmor_socket|aa_sk_perm|tomoyo_socket|bpf_lsm_socket|hook_socket|"
     r"__local_bh|sock_def|ptr_ring|clear_skb|init_dummy|__fdget|fdget|__fget"),
    ("scheduler, locking, timers",
     r"_?_?(schedule|sched_|switch_|update_(curr|load|cfs|rq|min_v|deadline|entity|process|se|"
     r"vsyscall|wall|fast|blocked)|enqueue_|dequeue_|pick_|put_prev|set_next|place_entity|"
     r"psi_|task_|try_to_wake|ttwu|wake|check_preempt|preempt|resched|finish_task|rcu_|raw_spin|"
     r"mutex|rwsem|down_|up_|hrtimer|timer|tick_|clockevents|ktime|read_tsc|native_sched|timekeeping|"
     r"cpuacct|account_|acct_|rb_|rseq|vruntime|avg_vruntime|requeue|entity_|dl_|nanosleep|"
     r"do_nanosleep|common_nsleep|x64_sys_clock|x64_sys_nanosleep|calc_|run_(timers|timer|posix|local)|"
     r"save_fpregs|fpregs|restore_fpregs|xfd|native_load_tls|mm_cid|irq|asm_|sysvec|apic|lapic|"
     r"native_apic|x2apic|idle|cpuidle|do_idle|default_idle|cpu_startup|menu_|ladder_|nohz|llist|"
     r"cond_resched|record_times|cpu_util|effective_cpu|cpufreq|sugov|newidle|load_balance|"
     r"prepare_(task|to_wait)|mem_cgroup_handle|blkcg_maybe|clear_budd|hrtick|profile|perf_event|"
     r"ntp_|scheduler_|trigger_load|softirq|do_softirq|handle_softirqs|raise_softirq|add_wait|remove_wait|"
     r"cgroup_rstat|arch_scale|list_(add|del)|wrgsbase|rdgsbase|tmigr|worker_|process_one|kick_pool|"
     r"pwq|queue_(work|delayed)|local_clock|switch_to|wait_|get_nohz|balance_|find_(next|first)_bit)|"
     r"native_irq|error_(entry|return)|native_safe_halt|pv_native|acpi_idle|acpi_safe|cpu_idle"),
)

_MODULE_RULES = tuple((mod, re.compile(rule), group) for mod, rule, group in _MODULES)
_NAME_RULES = tuple((group, re.compile(rule)) for group, rule in _NAMES)


def classify(name, module, folders):
    """Group of a function; folders maps functions of the modules under test."""
    if module.startswith("vhost_mmu") and name in folders:
        return folders[name]
    for mod, rule, group in _MODULE_RULES:
        if mod == module and rule.match(name):
            return group
    for group, rule in _NAME_RULES:
        if rule.match(name):
            return group
    return "other"
