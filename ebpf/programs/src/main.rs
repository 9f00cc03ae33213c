//! The kernel programs. One file per family of hooks; `cargo xtask ebpf` builds them.
//!
//! Invariants: no policy that user space can hold; a program that fails lets the kernel do what it would have
//! done; nothing here writes to a process's memory.
#![no_std]
#![no_main]

mod connect;
mod established;
mod maps;
mod peername;
mod process;
mod registers;
mod socket;
mod stream;
mod syscall;
mod tap;
mod task;
mod watch;

/// The kernel reads this name of a licence before it gives out helpers such as `bpf_probe_read_kernel`.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// Read by nobody: the verifier refuses programs that could panic, and the compiler wants a handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
