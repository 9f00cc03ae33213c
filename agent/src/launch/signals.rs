//! The signals that we were started with, and those that come while the command runs.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, raise, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What is passed on to the command, beside SIGCHLD, which tells of its end.
const PASSED_ON: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
];

/// Whether SIGPIPE was ignored before Rust's runtime ignored it.
static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Runs before `main`, because Rust's runtime sets SIGPIPE to be ignored and forgets what it was.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER_PIPE: extern "C" fn() = {
    extern "C" fn remember() {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a null new action only asks; the kernel fills `action`, which is valid when zeroed, too.
        let handler = unsafe {
            libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr());
            action.assume_init().sa_sigaction
        };
        PIPE_IGNORED.store(handler == libc::SIG_IGN, Ordering::Relaxed);
    }
    remember
};

/// How signals stood when we were started; the command gets them so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// Of the signals that we block, those that were not blocked: bit `n - 1` for signal `n`.
    pub(super) unblock: u64,
    /// Whether SIGPIPE was ignored.
    pub(super) pipe_ignored: bool,
    /// Whether SIGCHLD was ignored.
    pub(super) child_ignored: bool,
}

/// Blocks what is passed on, so that it can be read one by one. Must be called before any thread starts.
/// What was ignored stays ignored in the command, because no disposition is changed but that of SIGCHLD.
pub fn take_over() -> io::Result<(Original, Pending)> {
    let mut set = SigSet::empty();
    PASSED_ON.iter().for_each(|signal| set.add(*signal));
    set.add(Signal::SIGCHLD);
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
    let unblock =
        set.iter().filter(|signal| !before.contains(*signal)).fold(0, |mask, signal| mask | bit(signal));
    let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?;
    // Where SIGCHLD is ignored the kernel neither sends it nor keeps the status of a child (wait(2)).
    // SAFETY: the default disposition runs no code of ours.
    let child = unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    let original = Original {
        unblock,
        pipe_ignored: PIPE_IGNORED.load(Ordering::Relaxed),
        child_ignored: matches!(child, SigHandler::SigIgn),
    };
    Ok((original, Pending { fd, set }))
}

/// Gives a signal set-up back, in the process that is about to become the command.
pub(super) fn restore(original: Original) -> io::Result<()> {
    let handler = if original.pipe_ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
    // SAFETY: neither disposition runs code of ours.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, handler) }?;
    if original.child_ignored {
        // SAFETY: as above.
        unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    }
    let mut set = SigSet::empty();
    Signal::iterator()
        .filter(|signal| original.unblock & bit(*signal) != 0)
        .for_each(|signal| set.add(signal));
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)?;
    Ok(())
}

/// Signals that were sent to us.
#[derive(Debug)]
pub struct Pending {
    fd: SignalFd,
    set: SigSet,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Which.
    pub kind: Signal,
    /// Sent by a process. The terminal's own signals went to the whole process group, the command included.
    pub addressed_to_us: bool,
}

impl Pending {
    /// Waits for the next one. `None` where it was one that we do not know.
    pub fn next(&self) -> Option<Sent> {
        let info = self.fd.read_signal().ok().flatten()?;
        let kind = Signal::try_from(info.ssi_signo.cast_signed()).ok()?;
        // signalfd(2): SI_USER, SI_QUEUE and SI_TKILL are zero or less, what the kernel sends is above.
        Some(Sent { kind, addressed_to_us: info.ssi_code <= 0 })
    }

    /// From here on signals act on us as usual. Those that came while the command lived were for it.
    pub fn release(self) {
        // Setting a pending signal to be ignored discards it (POSIX), which unblocking alone would not.
        for signal in self.set.iter() {
            // SAFETY: neither disposition runs code of ours.
            unsafe {
                let Ok(before) = nix::sys::signal::signal(signal, SigHandler::SigIgn) else { continue };
                nix::sys::signal::signal(signal, before).ok();
            }
        }
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&self.set), None).ok();
    }
}

/// Ends this process by a signal, without a core file that would lie over the command's own.
pub(super) fn die_by(number: i32) {
    let Ok(signal) = Signal::try_from(number) else { return };
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        setrlimit(Resource::RLIMIT_CORE, 0, hard).ok();
    }
    // SAFETY: the default disposition runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }.ok();
    let mut set = SigSet::empty();
    set.add(signal);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None).ok();
    raise(signal).ok();
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}
