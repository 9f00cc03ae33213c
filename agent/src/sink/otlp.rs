//! The collector: OTLP over gRPC or HTTP, from a thread of its own.
//!
//! Invariants: `write` only pushes to a bounded queue; every span that was given and not acknowledged is
//! counted as not delivered, whatever the reason; `finish` ends within the time limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use trackway_core::run::Totals;
use trackway_core::telemetry::{Content, Span};

use self::queue::Queue;
use self::settings::Settings;
use self::transport::Transport;
use super::{Sink, limits, translate};

mod queue;
pub mod settings;
mod transport;
mod worker;

/// Why the exporter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot be used.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// No thread or runtime.
    #[error("cannot start the exporter's thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The exporter.
#[derive(Debug)]
pub struct Otlp {
    shared: Arc<Shared>,
    ending: watch::Sender<Option<Instant>>,
    done: Receiver<()>,
    place: String,
    timeout: Duration,
    policy: Content,
}

/// What the caller's thread and the exporter's share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Notify,
    given: AtomicU64,
    delivered: AtomicU64,
    reason: Mutex<Option<String>>,
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock, and a queue is whole after each push.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn say_if_silent(&self, reason: impl FnOnce() -> String) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(reason);
    }
}

impl Otlp {
    /// Starts the exporter's thread. Nothing is connected before the first batch.
    pub fn start(settings: &Settings, policy: Content) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let transport = {
            let _inside = runtime.enter();
            Transport::new(settings)?
        };
        let shared = Arc::new(Shared::default());
        let (ending, ended) = watch::channel(None);
        let (tell, done) = sync_channel(0);
        let worker = worker::Worker {
            shared: Arc::clone(&shared),
            transport,
            ended,
            timeout: settings.timeout,
            policy,
        };
        std::thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            runtime.block_on(worker.run());
            // A name look-up that hangs must not hold the thread.
            runtime.shutdown_background();
            // The channel's end is the signal.
            drop(tell);
        })?;
        Ok(Self { shared, ending, done, place: settings.shown(), timeout: settings.timeout, policy })
    }
}

impl Sink for Otlp {
    fn shows(&self) -> Content {
        self.policy
    }

    fn write(&mut self, spans: &[Span]) {
        self.shared.given.fetch_add(spans.len() as u64, Ordering::Relaxed);
        let mut full = false;
        for span in spans {
            let translated = translate::span(span, self.policy);
            let mut queue = self.shared.queue();
            if !queue.push(translated) {
                full = true;
            }
            if queue.ready() {
                self.shared.wake.notify_one();
            }
        }
        if full {
            self.shared.say("the queue was full, the collector too slow".to_owned());
        }
    }

    fn finish(&mut self, _totals: &Totals) -> Vec<String> {
        self.ending.send_replace(Some(Instant::now() + self.timeout));
        // The worker keeps the limit itself; the margin is for a machine without a free core.
        let in_time =
            self.done.recv_timeout(self.timeout + limits::RETRY_FIRST) != Err(RecvTimeoutError::Timeout);
        let given = self.shared.given.load(Ordering::Relaxed);
        let lost = given.saturating_sub(self.shared.delivered.load(Ordering::Acquire));
        if lost == 0 {
            return Vec::new();
        }
        let reason = self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reason = reason.unwrap_or_else(|| {
            if in_time { "no answer".to_owned() } else { format!("no answer within {:?}", self.timeout) }
        });
        vec![format!(
            "{lost} of {given} spans were not delivered to {}: {reason}; check the collector, or write a \
             file with --otlp-file",
            self.place
        )]
    }
}
