//! Metrics to the collector: reported in intervals and once more when the run ends. They have a task of their
//! own, so that a collector that takes none holds up no span.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use trackway_core::metrics::{Metrics, Temporality};
use trackway_core::telemetry::Span;

use super::transport::{Failure, Transport};
use super::worker::over;
use crate::app::now;
use crate::sink::{limits, translate};

/// What the caller's thread and the exporter's share about metrics.
#[derive(Debug)]
pub(super) struct Count {
    metrics: Mutex<Metrics>,
    missed: Mutex<Option<Missed>>,
    place: String,
}

/// Why the collector does not have what was counted.
#[derive(Clone, Debug)]
enum Missed {
    /// It takes no metrics.
    Unknown(String),
    /// A report did not arrive. A later one of cumulative sums makes up for it.
    Report(String),
}

impl Count {
    pub(super) fn new(metrics: Metrics, place: String) -> Self {
        Self { metrics: Mutex::new(metrics), missed: Mutex::new(None), place }
    }

    pub(super) fn spans(&self, spans: &[Span]) {
        let mut metrics = self.metrics();
        spans.iter().for_each(|span| metrics.span(span));
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        // Nothing panics while it holds the lock.
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn miss(&self, missed: Option<Missed>) {
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = missed;
    }

    /// What the user has to know when the run has ended.
    pub(super) fn line(&self) -> Option<String> {
        let place = &self.place;
        match self.missed.lock().unwrap_or_else(PoisonError::into_inner).clone()? {
            Missed::Unknown(reason) => Some(format!(
                "{place} takes no metrics ({reason}); OTEL_METRICS_EXPORTER=none spares the attempt"
            )),
            Missed::Report(reason) => Some(format!("metrics were not delivered to {place}: {reason}")),
        }
    }
}

pub(super) struct Meter {
    pub(super) count: Arc<Count>,
    pub(super) transport: Transport,
    pub(super) ended: watch::Receiver<Option<Instant>>,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
    pub(super) schema: &'static str,
}

impl Meter {
    pub(super) async fn run(self) {
        tokio::select! {
            () = over(self.ended.clone()) => {
                self.count.miss(Some(Missed::Report(format!("no answer within {:?}", self.timeout))));
            }
            () = self.report_all() => {}
        }
    }

    fn ending(&self) -> bool {
        self.ended.borrow().is_some()
    }

    async fn pause(&self, time: Duration) {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = sleep(time) => {}
            // An error means that the sink is gone; `run` ends then.
            _ended = ended.wait_for(Option::is_some) => {}
        }
    }

    /// Returns after the last report, or when the collector does not want any.
    async fn report_all(&self) {
        loop {
            if !self.ending() {
                self.pause(self.interval).await;
            }
            // Looked at before the report: what is counted before the end is then in it.
            let ending = self.ending();
            let (points, temporality) = {
                let mut metrics = self.count.metrics();
                (metrics.report(now()), metrics.temporality())
            };
            let mut missed = None;
            for batch in points.chunks(limits::BATCH_POINTS) {
                let request = translate::points::request(batch, temporality, self.schema);
                missed = self.deliver(&request).await;
                if missed.is_some() {
                    break;
                }
            }
            let gone = matches!(missed, Some(Missed::Unknown(_)));
            // What a delta said is not said again.
            if missed.is_some() || temporality == Temporality::Cumulative {
                self.count.miss(missed);
            }
            if ending || gone {
                return;
            }
        }
    }

    async fn deliver(&self, request: &ExportMetricsServiceRequest) -> Option<Missed> {
        let until = Instant::now() + self.interval.min(limits::RETRY_TOTAL);
        let mut delay = limits::RETRY_FIRST;
        loop {
            let ending = self.ending();
            let failure = match timeout(self.timeout, self.transport.send_metrics(request)).await {
                Ok(Ok(accepted)) if accepted.rejected > 0 => {
                    let reason =
                        format!("the collector refused {} points: {}", accepted.rejected, accepted.reason);
                    return Some(Missed::Report(reason));
                }
                Ok(Ok(_)) => return None,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::late(self.timeout),
            };
            if failure.unknown {
                return Some(Missed::Unknown(failure.reason));
            }
            if !failure.retry || Instant::now() >= until || (ending && failure.unreachable) {
                return Some(Missed::Report(failure.reason));
            }
            let time = failure.after.unwrap_or(delay).min(limits::RETRY_LONGEST);
            if ending {
                sleep(time).await;
            } else {
                self.pause(time).await;
            }
            delay = (delay * 2).min(limits::RETRY_LONGEST);
        }
    }
}
