//! One direction of a relayed connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use trackway_core::flow::Direction;

use crate::limits;
use crate::stream::Side;
use crate::tap::Probe;

thread_local! {
    /// Bytes stay here only between a read and the write that follows it in the same poll, so one buffer
    /// serves every connection of a thread and an idle connection holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; limits::READ_BYTES].into_boxed_slice());
}

pub(super) struct Pump {
    direction: Direction,
    /// Bytes that the sink did not take yet. Nothing is read while there are any: that is the back pressure.
    held: Vec<u8>,
    sent: usize,
    unflushed: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Moving,
    /// The source has ended; the sink is to be told, and how.
    Ending {
        clean: bool,
    },
    Done,
    Broken,
}

/// Which end failed.
#[derive(Debug)]
pub(super) enum Fault {
    Source(io::Error),
    Sink(io::Error),
}

enum Step {
    Moved,
    Wait,
    End { clean: bool },
}

impl Pump {
    pub(super) fn new(direction: Direction) -> Pump {
        Pump { direction, held: Vec::new(), sent: 0, unflushed: false, phase: Phase::Moving }
    }

    /// Whether nothing more will pass this way.
    pub(super) fn over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Broken)
    }

    /// Whether the source has ended.
    pub(super) fn ending(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Ending { .. })
    }

    /// Moves what can be moved now. `Ok` means that the task will be woken, or that the pump is over.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Side,
        sink: &mut Side,
        probe: &mut Probe,
    ) -> Result<(), Fault> {
        let result = self.drive(cx, source, sink, probe);
        if let Err(Fault::Sink(_)) = result {
            self.phase = Phase::Broken;
            self.held = Vec::new();
        }
        result
    }

    fn drive(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Side,
        sink: &mut Side,
        probe: &mut Probe,
    ) -> Result<(), Fault> {
        loop {
            if self.over() || self.poll_held(cx, sink)?.is_pending() {
                return Ok(());
            }
            if let Phase::Ending { clean } = self.phase {
                // An end that is gone already cannot be told, and need not be.
                if sink.poll_end(cx, clean).is_ready() {
                    self.phase = Phase::Done;
                }
                return Ok(());
            }
            match SCRATCH.with_borrow_mut(|scratch| self.step(cx, source, sink, probe, scratch))? {
                Step::Moved => {}
                Step::Wait => return self.flush(cx, sink),
                Step::End { clean } => {
                    probe.ended(self.direction);
                    self.phase = Phase::Ending { clean };
                }
            }
        }
    }

    /// One read, and the writes of what it gave.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Side,
        sink: &mut Side,
        probe: &mut Probe,
        scratch: &mut [u8],
    ) -> Result<Step, Fault> {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut *source).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(Step::Wait),
            Poll::Ready(Ok(())) => {}
            // rustls tells a FIN that no close_notify announced from one that was announced.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Step::End { clean: false });
            }
            Poll::Ready(Err(error)) => return Err(Fault::Source(error)),
        }
        let mut rest = buffer.filled();
        if rest.is_empty() {
            return Ok(Step::End { clean: true });
        }
        probe.pass(self.direction, rest);
        while !rest.is_empty() {
            match Pin::new(&mut *sink).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(Fault::Sink(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => rest = &rest[count..],
                Poll::Ready(Err(error)) => return Err(Fault::Sink(error)),
                Poll::Pending => {
                    self.held = rest.to_vec();
                    break;
                }
            }
        }
        self.unflushed = true;
        Ok(Step::Moved)
    }

    fn poll_held(&mut self, cx: &mut Context<'_>, sink: &mut Side) -> Result<Poll<()>, Fault> {
        while self.sent < self.held.len() {
            match Pin::new(&mut *sink).poll_write(cx, &self.held[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(Fault::Sink(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => return Err(Fault::Sink(error)),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        if self.sent > 0 {
            self.held = Vec::new();
            self.sent = 0;
        }
        Ok(Poll::Ready(()))
    }

    fn flush(&mut self, cx: &mut Context<'_>, sink: &mut Side) -> Result<(), Fault> {
        if self.unflushed {
            match Pin::new(sink).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(Fault::Sink(error)),
                Poll::Pending => {}
            }
        }
        Ok(())
    }
}
