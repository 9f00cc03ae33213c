//! `sock_ops`: tie the client's local address and port to its socket cookie.
//!
//! The callback runs before the client's last packet of the handshake leaves (`net/ipv4/tcp_input.c`,
//! `tcp_finish_connect`), so that the entry exists before anybody can accept the connection.

use core::ptr::{addr_of, read_volatile};

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_socket_cookie;
use aya_ebpf::macros::sock_ops;
use aya_ebpf::programs::SockOpsContext;
use trackway_abi::{End, counter};

use crate::connect::MAPPED;
use crate::maps::{ENDS, ORIGINS, count};

/// `BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB`
const ACTIVE_ESTABLISHED: u32 = 4;
/// `AF_INET`
const INET: u32 = 2;
/// `AF_INET6`
const INET6: u32 = 10;

#[sock_ops]
pub fn established(ctx: SockOpsContext) -> u32 {
    if ctx.op() == ACTIVE_ESTABLISHED {
        try_established(&ctx);
    }
    1
}

#[inline(always)]
fn try_established(ctx: &SockOpsContext) {
    // SAFETY: the context is the kernel's.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    if ORIGINS.get_ptr(&cookie).is_none() {
        return;
    }
    let ops = ctx.ops;
    // Everything is read before a choice is made: merged into one load behind the choice, the address would be a
    // computed one, which the verifier refuses ("dereference of modified ctx ptr").
    // SAFETY: as above; word by word, because the kernel checks each access's width.
    let (v4, v6) = unsafe {
        let ip = addr_of!((*ops).local_ip6).cast::<u32>();
        (
            read_volatile(addr_of!((*ops).local_ip4)),
            [read_volatile(ip), read_volatile(ip.add(1)), read_volatile(ip.add(2)), read_volatile(ip.add(3))],
        )
    };
    let address = match ctx.family() {
        INET => [0, 0, MAPPED, v4],
        INET6 => v6,
        _ => return,
    };
    let end = End { address, port: ctx.local_port() };
    if ENDS.insert(&end, &cookie, 0).is_err() {
        count(counter::LOST_ORIGIN);
    }
}
