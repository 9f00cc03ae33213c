//! Sockets of watched processes on the real kernel: by their own tracepoints, and by system calls where a kernel has
//! no such tracepoints.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trackway::kernel::{Chunk, Kernel, Peer, Plan, What, Wish};
use trackway::tap::{Role, Tap};
use trackway_abi::tap::{state, watch};
use trackway_core::flow::{Direction, Start, UnreadReason};
use trackway_proxy::tap::Event;

/// Longest that any one thing may take.
const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// A record of application data (RFC 8446, section 5.1), 16 bytes long.
const RECORD: &[u8] = b"\x17\x03\x03\x00\x100123456789abcdef";

/// The kernel's side, for sockets that are seen by system calls or by themselves; `None` without root, which CI must
/// not be.
fn kernel(wish: Wish) -> Option<Kernel> {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must run these tests as root");
        eprintln!("skipped: loading eBPF programs needs root");
        return None;
    }
    let tap = Wish { clear: true, ring_bytes: 1 << 20, ..wish };
    let kernel = Kernel::open(&Plan { tap, ..Plan::default() }).unwrap();
    assert_eq!(kernel.report(), [""; 0], "every program loads here");
    Some(kernel)
}

/// A shell that connects, waits for a line, sends `bytes`, reads as many as are asked, and ends.
struct Client {
    child: Child,
    server: std::net::TcpStream,
    listener: SocketAddr,
}

impl Client {
    /// One that is connected already.
    fn start(bytes: &[u8], answer: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; read go; printf '{octal}' >&3; head -c {answer} <&3",
            address.port()
        );
        let mut command = Command::new("bash");
        let child =
            command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { child, server, listener: address }
    }

    /// Lets it go on, answers it, and waits for its end.
    fn serve(&mut self, asked: &[u8], answer: &[u8]) {
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let mut heard = vec![0; asked.len()];
        self.server.read_exact(&mut heard).unwrap();
        assert_eq!(heard, asked);
        self.server.write_all(answer).unwrap();
        let mut said = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
        assert_eq!(said, answer);
        assert!(self.child.wait().unwrap().success());
        // Its end has come: the kernel gives its socket back.
        assert_eq!(self.server.read(&mut [0]).unwrap(), 0);
    }
}

/// Chunks until a socket is given back.
fn until_closed(kernel: &mut Kernel, server: SocketAddr) -> (Vec<Chunk>, Peer) {
    let mut chunks = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        kernel.chunks(1 << 20, &mut chunks);
        let closed = chunks.iter().find_map(|chunk| match &chunk.what {
            What::Closed { socket } if socket.address == Some(server) => Some(*socket),
            _ => None,
        });
        if let Some(closed) = closed {
            return (chunks, closed);
        }
        assert!(Instant::now() < deadline, "no end of the socket among {chunks:#?}");
        std::thread::yield_now();
    }
}

fn clear_http(wish: Wish) {
    let Some(mut kernel) = kernel(wish) else { return };
    let mut client = Client::start(REQUEST, ANSWER.len());
    if !wish.lives {
        kernel.add(client.child.id(), watch::TLS).unwrap();
    }
    let local = client.server.peer_addr().unwrap();
    client.serve(REQUEST, ANSWER);
    drop(client.server);
    let (chunks, closed) = until_closed(&mut kernel, client.listener);

    let own = |chunk: &Chunk| chunk.process.pid == client.child.id();
    let met: Vec<&Peer> = chunks
        .iter()
        .filter_map(|chunk| match &chunk.what {
            What::Hello { socket, bytes } if bytes.is_empty() && socket.address == Some(client.listener) => {
                Some(socket)
            }
            _ => None,
        })
        .collect();
    assert_eq!(met.len(), 1, "{chunks:#?}");
    assert_eq!((met[0].address, met[0].local), (Some(client.listener), Some(local)));
    let of = |wanted: Direction| {
        let mut all = Vec::new();
        for chunk in &chunks {
            if let What::Clear { offset, bytes } = &chunk.what
                && chunk.direction == wanted
                && own(chunk)
            {
                assert_eq!(*offset, all.len() as u64);
                all.extend_from_slice(bytes);
            }
        }
        all
    };
    assert_eq!(of(Direction::ToOrigin), REQUEST);
    assert_eq!(of(Direction::ToClient), ANSWER);
    assert_eq!((closed.sent, closed.received), (REQUEST.len() as u64, ANSWER.len() as u64));
    assert_eq!(closed.state, state::HTTP);
    assert!(chunks.iter().filter(|chunk| own(chunk)).all(|chunk| chunk.process.started.0 > 0));
    assert_eq!(kernel.tap_totals().lost, 0);
}

#[test]
fn a_socket_in_the_clear_is_read_whole() {
    clear_http(Wish::default());
}

#[test]
fn so_it_is_where_only_system_calls_tell() {
    clear_http(Wish { calls: true, ..Wish::default() });
}

#[test]
fn who_is_executed_under_a_name_is_looked_at_from_then_on() {
    clear_http(Wish { lives: true, ..Wish::default() }.named(&["ba".to_owned(), "bash".to_owned()]));
}

/// A connection that was open before anybody looked, and of which no library's function gives a byte.
#[test]
fn a_connection_met_in_its_middle_is_told_as_unread() {
    let Some(kernel) = kernel(Wish::default()) else { return };
    let mut client = Client::start(RECORD, RECORD.len());
    let pid = client.child.id();
    let kernel = Arc::new(Mutex::new(kernel));
    let mut tap = Tap::start(Arc::clone(&kernel), Vec::new(), Role::Alone).unwrap();
    kernel.lock().unwrap().add(pid, watch::TLS).unwrap();
    client.serve(RECORD, RECORD);
    drop(client.server);
    let (chunks, closed) = until_closed(&mut kernel.lock().unwrap(), client.listener);
    assert_eq!(closed.state, state::LATE);
    chunks.into_iter().for_each(|chunk| tap.chunk(chunk));
    let mut events = Vec::new();
    let now = kernel.lock().unwrap().now();
    tap.finish(now, &mut events);
    let [Event::Unread(unread)] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(unread.flow.start, Start::Late);
    assert_eq!(unread.flow.destination, Some(client.listener));
    assert_eq!((unread.bytes_to_origin, unread.bytes_to_client), (RECORD.len() as u64, RECORD.len() as u64));
    assert!(matches!(unread.reason, UnreadReason::NoProbe(_)), "{:?}", unread.reason);
}
