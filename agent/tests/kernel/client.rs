//! What the tests' clients do inside the cgroup.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};

/// Names the task; absent where the binary runs as tests.
pub(crate) const TASK: &str = "TRACKWAY_TEST_TASK";

/// Does the task, where there is one, and ends the process.
pub(crate) fn run() {
    let Ok(task) = std::env::var(TASK) else { return };
    println!("\nready");
    let mut go = [0; 3];
    std::io::stdin().read_exact(&mut go).unwrap();
    let (verb, rest) = task.split_once(' ').unwrap_or((&task, ""));
    let to = || rest.parse::<SocketAddr>().unwrap();
    match verb {
        "connect" => greet(TcpStream::connect(to()).unwrap()),
        "nonblocking" => greet(nonblocking(to())),
        "bound" => greet(prepared(to(), |fd| {
            bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        })),
        "marked" => greet(prepared(to(), |fd| setsockopt(fd, sockopt::Mark, &trackway_abi::MARK).unwrap())),
        "device" => {
            greet(prepared(to(), |fd| setsockopt(fd, sockopt::BindToDevice, &"lo".into()).unwrap()));
        }
        "child" => {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child", "--nocapture"])
                .env(TASK, format!("connect {rest}"))
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
            assert!(child.wait().unwrap().success());
        }
        "hangup" => TcpStream::connect(to()).unwrap().write_all(b"hello").unwrap(),
        "reset" => {
            let stream = TcpStream::connect(to()).unwrap();
            setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
        }
        "udp" => {
            let any = if to().is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(to()).unwrap();
            socket.send(b"hello").unwrap();
        }
        "namespace" => {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            loopback_up();
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            TcpStream::connect(server.local_addr().unwrap()).unwrap();
            server.accept().unwrap();
        }
        "threads" => {
            (0..8).map(|_| std::thread::spawn(|| ())).for_each(|thread| thread.join().unwrap());
        }
        "exit-in-thread" => {
            (0..8).for_each(|_| drop(std::thread::spawn(std::thread::park)));
            std::thread::spawn(|| std::process::exit(7)).join().unwrap();
        }
        "leader-first" => {
            end_leader();
            end_process(7);
        }
        "leader-first-alone" => {
            end_leader();
            end_thread(9);
        }
        "crowd" => {
            (0..200).for_each(|_| drop(std::thread::spawn(std::thread::park)));
            end_process(6);
        }
        "exec-in-thread" => {
            use std::os::unix::process::CommandExt;
            let exec = || panic!("{}", Command::new("/bin/sh").args(["-c", "exit 5"]).exec());
            std::thread::spawn(exec).join().unwrap();
        }
        _ => panic!("no such task: {task}"),
    }
    std::process::exit(0);
}

/// Says where it is connected to and hello, and waits for the other end to close.
fn greet(mut stream: TcpStream) {
    println!("\npeer {}", stream.peer_addr().unwrap());
    // The other end may not be interested.
    let _closed = stream.write_all(b"hello").and_then(|()| stream.read(&mut [0]));
}

/// Ends the first thread with code 4, and goes on in this one. The test harness holds the first thread, so a
/// signal has to take it there.
fn end_leader() {
    extern "C" fn end(_: libc::c_int) {
        end_thread(4);
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler makes one system call and touches nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let pid = nix::unistd::getpid().as_raw();
    // SAFETY: the system call takes numbers alone.
    assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGUSR1) }, 0);
    let stat = format!("/proc/self/task/{pid}/stat");
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
}

/// `exit(2)` of the calling thread alone.
fn end_thread(code: i32) {
    // SAFETY: the thread holds nothing that others wait for.
    unsafe { libc::syscall(libc::SYS_exit, code) };
}

/// `exit_group(2)`
fn end_process(code: i32) -> ! {
    // SAFETY: nothing more of this process runs.
    unsafe { libc::_exit(code) }
}

fn v4(to: SocketAddr) -> SockaddrIn {
    let SocketAddr::V4(to) = to else { panic!("{to} is not IPv4") };
    to.into()
}

fn stream(fd: OwnedFd) -> TcpStream {
    // SAFETY: the descriptor is a socket, and its ownership is handed over.
    unsafe { TcpStream::from_raw_fd(fd.into_raw_fd()) }
}

fn prepared(to: SocketAddr, prepare: impl FnOnce(&OwnedFd)) -> TcpStream {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    prepare(&fd);
    connect(fd.as_raw_fd(), &v4(to)).unwrap();
    stream(fd)
}

fn nonblocking(to: SocketAddr) -> TcpStream {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
    assert_eq!(connect(fd.as_raw_fd(), &v4(to)), Err(Errno::EINPROGRESS));
    let mut ready = [PollFd::new(std::os::fd::AsFd::as_fd(&fd), PollFlags::POLLOUT)];
    assert_eq!(poll(&mut ready, PollTimeout::from(10_000_u16)).unwrap(), 1);
    let stream = stream(fd);
    stream.set_nonblocking(false).unwrap();
    stream
}

/// A new network namespace has a loopback that is down.
fn loopback_up() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // SAFETY: all zeroes is a value of this plain struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l'.cast_signed(), b'o'.cast_signed()]);
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).unwrap();
    // SAFETY: the request is valid for the length of the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
