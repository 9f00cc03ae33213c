//! `getpeername(2)`: a redirected socket says where it meant to go, as it would have without us.

use core::ptr::{addr_of_mut, write_volatile};

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_socket_cookie;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use trackway_abi::Origin;

use crate::connect::{set_address6, set_port};
use crate::maps::ORIGINS;

/// The only value that the kernel takes here.
const DONE: i32 = 1;

#[cgroup_sock_addr(getpeername4)]
pub fn getpeername4(ctx: SockAddrContext) -> i32 {
    if let Some(origin) = origin(&ctx) {
        // SAFETY: the map gave the pointer; the context is the kernel's, and these fields may be written here.
        unsafe {
            write_volatile(addr_of_mut!((*ctx.sock_addr).user_ip4), (*origin).address[3]);
            set_port(ctx.sock_addr, (*origin).port);
        }
    }
    DONE
}

#[cgroup_sock_addr(getpeername6)]
pub fn getpeername6(ctx: SockAddrContext) -> i32 {
    if let Some(origin) = origin(&ctx) {
        // SAFETY: as above.
        unsafe {
            set_address6(ctx.sock_addr, (*origin).address);
            set_port(ctx.sock_addr, (*origin).port);
        }
    }
    DONE
}

#[inline(always)]
fn origin(ctx: &SockAddrContext) -> Option<*const Origin> {
    // SAFETY: the context is the kernel's.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    ORIGINS.get_ptr(&cookie)
}
