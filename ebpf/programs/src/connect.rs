//! `connect(2)`: remember where a TCP socket meant to go, send it to the listener.
//!
//! The hook runs before the kernel chooses a route and a source address, so blocking, non-blocking and bound
//! sockets behave alike (`net/ipv4/tcp_ipv4.c`, `tcp_v4_pre_connect`). For a v4-mapped destination the kernel
//! runs the IPv6 hook alone, and so the answer there must be v4-mapped as well.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_current_uid_gid, bpf_get_netns_cookie, bpf_get_socket_cookie,
    bpf_ktime_get_boot_ns,
};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use aya_ebpf::{EbpfContext, bindings::bpf_sock_addr};
use trackway_abi::{COMM_BYTES, Listen, MARK, Origin, counter};

use crate::maps::{LAYOUT, LISTEN, ORIGINS, count};
use crate::task::{self, Address};

/// The return value that lets the call go on.
const ALLOW: i32 = 1;
/// `SOCK_STREAM`
const STREAM: u32 = 1;
/// `IPPROTO_TCP`
const TCP: u32 = 6;
/// 127.0.0.1
const LOOPBACK_V4: u32 = 0x7f00_0001_u32.to_be();
/// ::1
const LOOPBACK_V6: [u32; 4] = [0, 0, 0, 1_u32.to_be()];
/// Third word of a v4-mapped address.
pub const MAPPED: u32 = 0xffff_u32.to_be();

#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    try_connect4(&ctx);
    ALLOW
}

#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    try_connect6(&ctx);
    ALLOW
}

#[inline(always)]
fn try_connect4(ctx: &SockAddrContext) {
    let addr = ctx.sock_addr;
    if !is_tcp(addr) {
        return;
    }
    let listen = LISTEN.load();
    // SAFETY: the kernel gives a valid context; single volatile accesses, because it checks each field's width.
    let (ip, port) = unsafe { (read_volatile(addr_of!((*addr).user_ip4)), port(addr)) };
    let cookie = cookie(ctx);
    if (ip == LOOPBACK_V4 && port == listen.v4) || is_left_alone(ctx, &listen) {
        forget(cookie);
        return;
    }
    if !remember(cookie, [0, 0, MAPPED, ip], port) {
        return;
    }
    // SAFETY: as above; these two fields may be written in this hook.
    unsafe {
        write_volatile(addr_of_mut!((*addr).user_ip4), LOOPBACK_V4);
        set_port(addr, listen.v4);
    }
    count(counter::REDIRECTED);
}

#[inline(always)]
fn try_connect6(ctx: &SockAddrContext) {
    let addr = ctx.sock_addr;
    if !is_tcp(addr) {
        return;
    }
    let listen = LISTEN.load();
    // SAFETY: as in `try_connect4`.
    let (ip, port) = unsafe { (address6(addr), port(addr)) };
    let cookie = cookie(ctx);
    let mapped = ip[0] == 0 && ip[1] == 0 && ip[2] == MAPPED;
    let to = if mapped { listen.v4 } else { listen.v6 };
    let ours = port == to && (if mapped { ip[3] == LOOPBACK_V4 } else { ip == LOOPBACK_V6 });
    if ours || is_left_alone(ctx, &listen) {
        forget(cookie);
        return;
    }
    if to == 0 {
        forget(cookie);
        count(counter::LEFT_V6);
        return;
    }
    // fe80::/10 has a meaning only with the interface in `sin6_scope_id`, which the hook does not show.
    if u32::from_be(ip[0]) & 0xffc0_0000 == 0xfe80_0000 {
        forget(cookie);
        count(counter::LEFT_DEVICE);
        return;
    }
    if !remember(cookie, ip, port) {
        return;
    }
    let loopback = if mapped { [0, 0, MAPPED, LOOPBACK_V4] } else { LOOPBACK_V6 };
    // SAFETY: as in `try_connect4`.
    unsafe {
        set_address6(addr, loopback);
        set_port(addr, to);
    }
    count(counter::REDIRECTED);
}

#[inline(always)]
fn is_tcp(addr: *mut bpf_sock_addr) -> bool {
    // SAFETY: as in `try_connect4`.
    unsafe {
        read_volatile(addr_of!((*addr).type_)) == STREAM && read_volatile(addr_of!((*addr).protocol)) == TCP
    }
}

/// Sockets that must reach their destination themselves.
#[inline(always)]
fn is_left_alone(ctx: &SockAddrContext, listen: &Listen) -> bool {
    // SAFETY: as in `try_connect4`; the pointer to the socket is checked before it is followed.
    unsafe {
        let sk = read_volatile(addr_of!((*ctx.sock_addr).__bindgen_anon_1.sk));
        if !sk.is_null() {
            if read_volatile(addr_of!((*sk).mark)) == MARK {
                return true;
            }
            if read_volatile(addr_of!((*sk).bound_dev_if)) != 0 {
                count(counter::LEFT_DEVICE);
                return true;
            }
        }
        if listen.netns != 0 && bpf_get_netns_cookie(ctx.as_ptr()) != listen.netns {
            count(counter::LEFT_NETNS);
            return true;
        }
    }
    false
}

#[inline(always)]
fn cookie(ctx: &SockAddrContext) -> u64 {
    // SAFETY: the context is the kernel's.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}

/// A socket whose first attempt was redirected may try again, to where it is left alone.
#[inline(always)]
fn forget(cookie: u64) {
    // That there was nothing to forget is the usual case.
    let _absent = ORIGINS.remove(&cookie);
}

#[inline(always)]
fn remember(cookie: u64, address: [u32; 4], port: u32) -> bool {
    let layout = LAYOUT.load();
    let task = Address::current();
    let (mut pid, mut started_ns, mut comm) = (0, 0, [0; COMM_BYTES]);
    if layout.task_tgid != 0 {
        if let Ok(process) = task::process(task, &layout) {
            (pid, started_ns) = (process.pid, process.started_ns);
        }
        comm = task::comm(task, &layout).unwrap_or(comm);
    }
    // SAFETY: these helpers have no precondition.
    let (time_ns, cgroup, user) =
        unsafe { (bpf_ktime_get_boot_ns(), bpf_get_current_cgroup_id(), bpf_get_current_uid_gid()) };
    let origin =
        Origin { started_ns, time_ns, cgroup, pid, uid: user as u32, address, port, reserved: 0, comm };
    let kept = ORIGINS.insert(&cookie, &origin, 0).is_ok();
    if !kept {
        count(counter::LOST_ORIGIN);
    }
    kept
}

/// # Safety
/// `addr` is the kernel's context.
#[inline(always)]
unsafe fn port(addr: *mut bpf_sock_addr) -> u32 {
    // SAFETY: by contract.
    u32::from(u16::from_be(unsafe { read_volatile(addr_of!((*addr).user_port)) } as u16))
}

/// # Safety
/// `addr` is the kernel's context.
#[inline(always)]
pub unsafe fn set_port(addr: *mut bpf_sock_addr, port: u32) {
    // SAFETY: by contract.
    unsafe { write_volatile(addr_of_mut!((*addr).user_port), u32::from((port as u16).to_be())) };
}

/// # Safety
/// `addr` is the kernel's context.
#[inline(always)]
unsafe fn address6(addr: *mut bpf_sock_addr) -> [u32; 4] {
    // SAFETY: by contract. Word by word: kernels differ in whether they allow wider accesses.
    unsafe {
        let ip = addr_of!((*addr).user_ip6).cast::<u32>();
        [read_volatile(ip), read_volatile(ip.add(1)), read_volatile(ip.add(2)), read_volatile(ip.add(3))]
    }
}

/// # Safety
/// `addr` is the kernel's context.
#[inline(always)]
pub unsafe fn set_address6(addr: *mut bpf_sock_addr, address: [u32; 4]) {
    // SAFETY: by contract.
    unsafe {
        let ip = addr_of_mut!((*addr).user_ip6).cast::<u32>();
        write_volatile(ip, address[0]);
        write_volatile(ip.add(1), address[1]);
        write_volatile(ip.add(2), address[2]);
        write_volatile(ip.add(3), address[3]);
    }
}
