//! The local store as a sink: a bounded queue, and a thread that commits what waits in it twice a second.
//!
//! Invariants: the caller's thread touches no file; the store can never keep a run from running; what was not stored
//! is said when the run ends.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trackway_core::run::{Identity, Totals};
use trackway_core::telemetry::{AttributeValue, Content, Span};

use super::Sink;
use crate::store::{Batch, Birth, Error, Keep, Writer, limits};

/// The store of one run.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    path: PathBuf,
    policy: Content,
    done: Receiver<Option<String>>,
    given: u64,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    ending: Condvar,
}

/// What waits for the writer.
#[derive(Debug, Default)]
struct Queue {
    birth: Option<Birth>,
    spans: Vec<Span>,
    bytes: usize,
    dropped: u64,
    end: Option<Totals>,
    /// Past it, nothing more is tried.
    deadline: Option<Instant>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Starts the writer's thread. The file is opened there, so that a slow disk delays nobody.
    pub fn start(path: PathBuf, policy: Content, keep: Keep) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (tell, done) = sync_channel(1);
        let thread = Thread { shared: Arc::clone(&shared), path: path.clone(), policy, keep };
        std::thread::Builder::new().name("store".to_owned()).spawn(move || thread.run(&tell))?;
        Ok(Self { shared, path, policy, done, given: 0 })
    }
}

impl Sink for Store {
    fn shows(&self) -> Content {
        self.policy
    }

    fn begin(&mut self, identity: &Identity) {
        self.shared.queue().birth = Some(Birth::from(identity));
    }

    fn write(&mut self, spans: &[Span]) {
        self.given += spans.len() as u64;
        for span in spans {
            let bytes = weight(span);
            let copy = || span.clone();
            let mut queue = self.shared.queue();
            let full = queue.spans.len() >= limits::QUEUE_SPANS || queue.bytes + bytes > limits::QUEUE_BYTES;
            // The root says how the run ended: it always finds a place.
            if full && !span.is_root() {
                queue.dropped += 1;
                continue;
            }
            queue.bytes += bytes;
            queue.spans.push(copy());
        }
    }

    fn finish(&mut self, totals: &Totals) -> Vec<String> {
        {
            let mut queue = self.shared.queue();
            queue.end = Some(*totals);
            queue.deadline = Some(Instant::now() + limits::FLUSH);
        }
        self.shared.ending.notify_all();
        // The writer keeps the limit itself; the margin is for a transaction in hand.
        let path = self.path.display();
        match self.done.recv_timeout(limits::FLUSH + limits::BUSY) {
            Ok(None) => {
                let dropped = self.shared.queue().dropped;
                let given = self.given;
                match dropped {
                    0 => Vec::new(),
                    _ => vec![format!(
                        "{dropped} of {given} spans were not stored: they came faster than {path} takes them"
                    )],
                }
            }
            Ok(Some(reason)) => vec![format!("the run is not, or not whole, in the local store: {reason}")],
            Err(RecvTimeoutError::Timeout) => {
                vec![format!(
                    "the run is not whole in the local store: {path} did not take it within {:?}",
                    limits::FLUSH
                )]
            }
            Err(RecvTimeoutError::Disconnected) => {
                vec!["the run is not whole in the local store: its thread failed".to_owned()]
            }
        }
    }
}

/// About the bytes that a span holds.
fn weight(span: &Span) -> usize {
    let attributes = span.attributes.iter().map(|attribute| match &attribute.value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Texts(texts) => texts.iter().map(String::len).sum(),
        _ => 8,
    });
    attributes.sum::<usize>() + 512
}

/// The writer's side.
struct Thread {
    shared: Arc<Shared>,
    path: PathBuf,
    policy: Content,
    keep: Keep,
}

/// What one look at the queue takes.
struct Taken {
    birth: Option<Birth>,
    spans: Vec<Span>,
    dropped: u64,
    end: Option<Totals>,
    deadline: Option<Instant>,
}

impl Thread {
    fn run(self, tell: &SyncSender<Option<String>>) {
        let said = match self.record() {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        if said.is_some() {
            // Nobody will take the rest; what comes is not kept either, until the run ends.
            self.drain();
        }
        tell.send(said).ok();
    }

    fn record(&self) -> Result<(), Error> {
        let mut writer = Writer::create(&self.path, self.policy)?;
        // Runs of others can wait for another time; this one cannot.
        if let Err(error) = writer.settle() {
            tracing::debug!(%error, "lost runs were not settled");
        }
        let mut swept = self.sweep(&writer);
        loop {
            let taken = self.take(limits::COMMIT);
            self.commit(&mut writer, &taken)?;
            if taken.end.is_some() {
                return Ok(());
            }
            swept = swept || self.sweep(&writer);
        }
    }

    /// Lets old runs go, for a moment. Whether nothing is left to do, or nothing can be done.
    fn sweep(&self, writer: &Writer) -> bool {
        match writer.store().sweep(self.keep, now(), limits::SWEEP) {
            Ok(swept) => swept.done,
            Err(error) => {
                tracing::debug!(%error, "the store was not swept");
                true
            }
        }
    }

    /// Waits for the next commit's time, or for the end.
    fn take(&self, pause: Duration) -> Taken {
        let queue = self.shared.queue();
        let (mut queue, _) = self
            .shared
            .ending
            .wait_timeout_while(queue, pause, |queue| queue.end.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        queue.bytes = 0;
        Taken {
            birth: queue.birth.take(),
            spans: std::mem::take(&mut queue.spans),
            dropped: queue.dropped,
            end: queue.end,
            deadline: queue.deadline,
        }
    }

    /// Writes what was taken, in transactions of some size. Another writer is waited for until the end.
    fn commit(&self, writer: &mut Writer, taken: &Taken) -> Result<(), Error> {
        let mut birth = taken.birth.as_ref();
        let mut rest = taken.spans.as_slice();
        let mut deadline = taken.deadline;
        while birth.is_some() || !rest.is_empty() || taken.end.is_some() {
            let (spans, after) = rest.split_at(rest.len().min(limits::BATCH_SPANS));
            let last = after.is_empty();
            let end = taken.end.as_ref().filter(|_| last);
            let batch = Batch { birth, spans, end, unstored: taken.dropped };
            match writer.write(batch) {
                Ok(()) => {}
                Err(error) if error.passing() => {
                    deadline = deadline.or_else(|| self.shared.queue().deadline);
                    if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                        return Err(error);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            (birth, rest) = (None, after);
            if last {
                break;
            }
        }
        Ok(())
    }

    fn drain(&self) {
        loop {
            if self.take(limits::COMMIT).end.is_some() {
                return;
            }
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
