//! What `trackway doctor` tries of the kernel.

use trackway_abi::Listen;

use super::programs::{HOOKS, netns_cookie};
use super::tap::Wish;
use super::{btf, cgroup, load};

/// One line of `trackway doctor`.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was tried.
    pub name: String,
    /// Why it does not work.
    pub outcome: Result<(), String>,
    /// What to do where it does not.
    pub remedy: &'static str,
}

/// Tries what the kernel side needs, and leaves nothing behind.
pub fn probe() -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name: &str, outcome: Result<(), String>, remedy: &'static str| {
        let works = outcome.is_ok();
        checks.push(Check { name: name.to_owned(), outcome, remedy });
        works
    };
    let btf::Known { processes, sockets, moves } = btf::read();
    let known = processes.as_ref().and(sockets.as_ref()).map(drop).map_err(Clone::clone);
    check("kernel types (BTF)", known, "use a kernel built with CONFIG_DEBUG_INFO_BTF=y");
    let place = cgroup::Cgroup::create();
    let made = place.as_ref().map(|_| ()).map_err(ToString::to_string);
    check(
        "cgroup v2",
        made,
        "run as root, with cgroup2 mounted writable: mount -t cgroup2 none /sys/fs/cgroup",
    );
    drop(place);

    let ports = Listen { netns: netns_cookie(), v4: 1, v6: 1 };
    let layouts = (processes.unwrap_or_default(), sockets.unwrap_or_default());
    let object =
        load(ports, layouts, Wish { calls: !moves, ..Wish::default() }).map_err(|error| match error {
            super::Error::Load { reason, .. } => reason,
        });
    const PRIVILEGE: &str = "run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; in a container also allow the bpf system call";
    match object {
        Err(why) => {
            check("eBPF maps", Err(why), PRIVILEGE);
        }
        Ok(mut ebpf) => {
            check("eBPF maps", Ok(()), PRIVILEGE);
            for hook in HOOKS.into_iter().filter(|hook| !hook.replaced(!moves)) {
                let name = format!("{} ({})", hook.name, hook.gives);
                check(
                    &name,
                    hook.load(&mut ebpf),
                    "use Linux 5.15 or later, not locked down for confidentiality",
                );
            }
        }
    }
    checks
}
