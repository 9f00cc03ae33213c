//! The exporter's thread: batches, tries again, gives up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use trackway_core::telemetry::Content;

use super::Shared;
use super::transport::{Failure, Transport};
use crate::sink::{limits, translate};

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) transport: Transport,
    /// Set when the run is over: until when the rest may be delivered.
    pub(super) ended: watch::Receiver<Option<Instant>>,
    pub(super) timeout: Duration,
    pub(super) policy: Content,
    pub(super) schema: &'static str,
}

/// Returns when nothing may be delivered any more.
pub(super) async fn over(mut ended: watch::Receiver<Option<Instant>>) {
    // The sender goes with the sink: then nobody waits for the rest.
    let until = ended.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    if let Some(until) = until {
        sleep_until(until).await;
    }
}

impl Worker {
    pub(super) async fn run(self) {
        tokio::select! {
            () = over(self.ended.clone()) => {
                self.shared.say_if_silent(|| format!("no answer within {:?}", self.timeout));
            }
            () = self.deliver_all() => {}
        }
    }

    fn ending(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Returns when the run is over and the queue is empty, or delivering on is of no use.
    async fn deliver_all(&self) {
        loop {
            if !self.ending() && !self.shared.queue().ready() {
                self.pause(limits::BATCH_DELAY, true).await;
            }
            // Looked at before the queue: what is written before the end is then seen.
            let ending = self.ending();
            let batch = self.shared.queue().batch();
            if batch.is_empty() {
                if ending {
                    return;
                }
                continue;
            }
            if !self.deliver(batch).await && self.ending() {
                return;
            }
        }
    }

    /// Sleeps, shorter where the run ends (or, with `wakes`, where a batch is ready).
    async fn pause(&self, time: Duration, wakes: bool) {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = sleep(time) => {}
            () = self.shared.wake.notified(), if wakes => {}
            // An error means that the sink is gone; `run` ends then.
            _ended = ended.wait_for(Option::is_some) => {}
        }
    }

    /// Tries a batch until it is delivered, refused for good, or its time is over. False where nothing
    /// listens at the other end.
    async fn deliver(&self, batch: Vec<translate::Translated>) -> bool {
        let count = batch.len() as u64;
        let request = translate::request(batch, self.policy, self.schema);
        let until = Instant::now() + limits::RETRY_TOTAL;
        let mut delay = limits::RETRY_FIRST;
        loop {
            // Looked at before the try: an unreachable collector gets one more after the end.
            let ending = self.ending();
            let failure = match timeout(self.timeout, self.transport.send(&request)).await {
                Ok(Ok(accepted)) => {
                    let taken = count.saturating_sub(accepted.rejected);
                    self.shared.delivered.fetch_add(taken, Ordering::AcqRel);
                    if accepted.rejected > 0 {
                        self.shared.say(format!("the collector refused them: {}", accepted.reason));
                    }
                    return true;
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::late(self.timeout),
            };
            self.shared.say(failure.reason);
            if !failure.retry || Instant::now() >= until {
                return true;
            }
            if ending && failure.unreachable {
                return false;
            }
            let time = failure.after.unwrap_or(delay).min(limits::RETRY_LONGEST);
            if ending {
                sleep(time).await;
            } else {
                self.pause(time, false).await;
            }
            delay = (delay * 2).min(limits::RETRY_LONGEST);
        }
    }
}
