//! Spans that wait for the collector, bounded in number and bytes.

use std::collections::VecDeque;

use prost::Message as _;

use crate::sink::limits;
use crate::sink::translate::Translated;

#[derive(Debug, Default)]
pub(super) struct Queue {
    spans: VecDeque<(Translated, usize)>,
    bytes: usize,
}

impl Queue {
    /// Takes a span, or says that it does not fit.
    pub(super) fn push(&mut self, span: Translated) -> bool {
        let bytes = span.span.encoded_len();
        if self.spans.len() >= limits::QUEUE_SPANS || self.bytes + bytes > limits::QUEUE_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.spans.push_back((span, bytes));
        true
    }

    /// Whether a whole batch waits.
    pub(super) fn ready(&self) -> bool {
        self.spans.len() >= limits::BATCH_SPANS || self.bytes >= limits::BATCH_BYTES
    }

    /// The next batch, the oldest first.
    pub(super) fn batch(&mut self) -> Vec<Translated> {
        let mut batch = Vec::new();
        let mut size = 0;
        while let Some((_, bytes)) = self.spans.front() {
            size += bytes;
            if !batch.is_empty() && (batch.len() >= limits::BATCH_SPANS || size > limits::BATCH_BYTES) {
                break;
            }
            let Some((span, bytes)) = self.spans.pop_front() else { break };
            self.bytes -= bytes;
            batch.push(span);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;

    fn span(bytes: usize) -> Translated {
        let span = Span { name: "x".repeat(bytes), ..Span::default() };
        Translated { resource: Arc::default(), span }
    }

    #[test]
    fn bounded_in_number_and_bytes() {
        let mut queue = Queue::default();
        let taken = (0..limits::QUEUE_SPANS + 10).filter(|_| queue.push(span(1))).count();
        assert_eq!(taken, limits::QUEUE_SPANS);
        let mut queue = Queue::default();
        let taken = (0..200).filter(|_| queue.push(span(1_000_000))).count();
        assert_eq!(taken, limits::QUEUE_BYTES / 1_000_000);
        // Room that a batch leaves is used again.
        assert_eq!(queue.batch().len(), 3);
        assert!(queue.push(span(1_000_000)));
    }

    #[test]
    fn a_batch_is_bounded_yet_never_empty() {
        let mut queue = Queue::default();
        assert!(queue.batch().is_empty());
        assert!(queue.push(span(2 * limits::BATCH_BYTES)));
        assert!((0..limits::BATCH_SPANS + 1).all(|_| queue.push(span(1))));
        let sizes: Vec<usize> = (0..4).map(|_| queue.batch().len()).collect();
        assert_eq!(sizes, [1, limits::BATCH_SPANS, 1, 0]);
    }
}
