//! The collector: OTLP over gRPC or HTTP, from a thread of its own.
//!
//! Invariants: `write` only pushes to a bounded queue; every span that was given and not acknowledged is
//! counted as not delivered, whatever the reason; `finish` ends within the time limit. Metrics hold up no span.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use trackway_core::metrics::Metrics;
use trackway_core::run::Totals;
use trackway_core::telemetry::{Content, Span};

use self::exports::Exports;
use self::meter::{Count, Meter};
use self::queue::Queue;
use self::settings::Settings;
use self::transport::Transport;
use super::shape::Shape;
use super::{Sink, limits};
use crate::app::now;

pub mod exports;
mod meter;
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
    /// `None` where no spans go out.
    spans: Option<Spans>,
    count: Option<Arc<Count>>,
    ending: watch::Sender<Option<Instant>>,
    done: Receiver<()>,
    timeout: Duration,
    policy: Content,
}

/// The spans' side of it.
#[derive(Debug)]
struct Spans {
    shared: Arc<Shared>,
    place: String,
    shape: Shape,
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
    pub fn start(exports: &Exports) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ending, ended) = watch::channel(None);
        let (tell, done) = sync_channel(0);
        let (policy, shape) = (exports.policy, exports.shape);
        let schema = shape.schema();
        let (mut spans, mut worker, mut count, mut meter) = (None, None, None, None);
        let mut longest = Duration::ZERO;
        if let Some(settings) = &exports.traces {
            let shared = Arc::new(Shared::default());
            worker = Some(worker::Worker {
                shared: Arc::clone(&shared),
                transport: transport(&runtime, settings)?,
                ended: ended.clone(),
                timeout: settings.timeout,
                policy,
                schema,
            });
            spans = Some(Spans { shared, place: settings.shown(), shape });
            longest = settings.timeout;
        }
        if let Some(metering) = &exports.metrics {
            let settings = &metering.settings;
            let metrics = Metrics::new(now(), shape.overlays.naming(), metering.temporality);
            let counted = Arc::new(Count::new(metrics, settings.shown()));
            meter = Some(Meter {
                count: Arc::clone(&counted),
                transport: transport(&runtime, settings)?,
                ended,
                timeout: settings.timeout,
                interval: metering.interval,
                schema,
            });
            count = Some(counted);
            longest = longest.max(settings.timeout);
        }
        std::thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            let deliver = async {
                if let Some(worker) = worker {
                    worker.run().await
                }
            };
            let report = async {
                if let Some(meter) = meter {
                    meter.run().await
                }
            };
            runtime.block_on(async { tokio::join!(deliver, report) });
            // A name look-up that hangs must not hold the thread.
            runtime.shutdown_background();
            // The channel's end is the signal.
            drop(tell);
        })?;
        Ok(Self { spans, count, ending, done, timeout: longest, policy })
    }
}

fn transport(runtime: &tokio::runtime::Runtime, settings: &Settings) -> Result<Transport, transport::Error> {
    let _inside = runtime.enter();
    Transport::new(settings)
}

impl Spans {
    fn write(&self, spans: &[Span], policy: Content) {
        self.shared.given.fetch_add(spans.len() as u64, Ordering::Relaxed);
        let mut full = false;
        for span in spans {
            let translated = self.shape.translate(span, policy);
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

    /// What the user has to know when the run has ended.
    fn line(&self, late: Option<Duration>) -> Option<String> {
        let given = self.shared.given.load(Ordering::Relaxed);
        let lost = given.saturating_sub(self.shared.delivered.load(Ordering::Acquire));
        if lost == 0 {
            return None;
        }
        let reason = self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reason = reason.unwrap_or_else(|| match late {
            None => "no answer".to_owned(),
            Some(limit) => format!("no answer within {limit:?}"),
        });
        Some(format!(
            "{lost} of {given} spans were not delivered to {}: {reason}; check the collector, or write a \
             file with --otlp-file",
            self.place
        ))
    }
}

impl Sink for Otlp {
    fn shows(&self) -> Content {
        // Metrics tell nothing of what was said.
        if self.spans.is_some() { self.policy } else { Content::None }
    }

    fn write(&mut self, spans: &[Span]) {
        if let Some(count) = &self.count {
            count.spans(spans);
        }
        if let Some(out) = &self.spans {
            out.write(spans, self.policy);
        }
    }

    fn finish(&mut self, _totals: &Totals) -> Vec<String> {
        self.ending.send_replace(Some(Instant::now() + self.timeout));
        // The exporter keeps the limit itself; the margin is for a machine without a free core.
        let in_time =
            self.done.recv_timeout(self.timeout + limits::RETRY_FIRST) != Err(RecvTimeoutError::Timeout);
        let late = (!in_time).then_some(self.timeout);
        let spans = self.spans.as_ref().and_then(|spans| spans.line(late));
        spans.into_iter().chain(self.count.as_ref().and_then(|count| count.line())).collect()
    }
}
