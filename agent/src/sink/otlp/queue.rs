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
