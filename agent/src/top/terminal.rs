//! The terminal: taken, drawn to, and given back as it was.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEventKind};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::DefaultTerminal;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::activity::beat;
use super::feed::Feed;
use super::view::{Next, View};
use super::{draw, limits};
use crate::look::now;

/// Gives the terminal back when it goes. A panic gives it back before its message, by the hook of `try_init`.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        Ok(Self(ratatui::try_init()?))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // To give it back twice would put the cursor back over the message of a panic.
        if !std::thread::panicking() {
            // Where it is gone, there is nobody to tell.
            ratatui::try_restore().ok();
        }
    }
}

/// Shows the view until a key or a signal ends it.
pub(super) fn run(feed: &mut Feed, view: &mut View) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    // SIGHUP ends us as it ends everybody: there is no terminal left to give back.
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let mut screen = Screen::take()?;
    let mut looked: Option<Instant> = None;
    let mut stale = true;
    while !ended.load(Ordering::Relaxed) {
        if looked.is_none_or(|looked| looked.elapsed() >= limits::POLL) || feed.behind() {
            stale |= look(feed, view);
            looked = Some(Instant::now());
        }
        let moving = view.board.runs() && !view.help;
        let time = now().0;
        // The graph moves on also where nothing else does.
        if stale || moving || beat(time) != beat(view.now) {
            view.now = time;
            view.tick = view.tick.wrapping_add(usize::from(moving));
            screen.0.draw(|frame| draw::frame(view, frame.area(), frame.buffer_mut()))?;
            stale = false;
        }
        let pause = match (feed.behind(), moving) {
            (true, _) => Duration::ZERO,
            (_, true) => limits::FRAME,
            _ => limits::POLL,
        };
        if gone(pause)? {
            return Ok(());
        }
        while event::poll(limits::KEYS)? {
            stale = true;
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match view.key(key) {
                    Next::Quit => return Ok(()),
                    Next::Look => looked = None,
                    Next::Stay => {}
                },
                // A new size is drawn with the next frame; the rest is not for us.
                _ => {}
            }
        }
    }
    Ok(())
}

/// Waits for a key, a signal (a new size is one) or the time. Whether the terminal was closed meanwhile: crossterm
/// would read its end for ever, so it is asked only where there is something to read.
fn gone(pause: Duration) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut input = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut input, PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let over = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    Ok(input.iter().any(|input| input.revents().is_some_and(|found| found.intersects(over))))
}

/// Whether anything changed.
fn look(feed: &mut Feed, view: &mut View) -> bool {
    match feed.look(&mut view.board, view.opened.as_mut()) {
        Ok(changed) => view.fault.take().is_some() || changed,
        // A writer is in the way: the next look will do.
        Err(error) if error.passing() => false,
        Err(error) => {
            let words = Some(error.to_string());
            let changed = view.fault != words;
            view.fault = words;
            changed
        }
    }
}
