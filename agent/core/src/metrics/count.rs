//! What a finished span adds to which metric.

use super::instrument::{self as it, Instrument};
use super::series::{Labels, Scalar};
use super::{Metrics, Naming};
use crate::names::metrics as own;
use crate::telemetry::{AttributeValue, Span, SpanKind, Status};
use crate::{limits, names};

/// Attributes of every metric about a call to a model.
const MODEL: [&str; 7] = [
    names::OPERATION_NAME,
    names::PROVIDER_NAME,
    names::REQUEST_MODEL,
    names::RESPONSE_MODEL,
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
    names::ERROR_TYPE,
];
const TOOL: [&str; 4] = [names::TOOL_NAME, names::TOOL_TYPE, names::AGENT_NAME, names::ERROR_TYPE];
const AGENT: [&str; 3] = [names::AGENT_NAME, names::REQUEST_MODEL, names::ERROR_TYPE];
/// The session and the address of a resource are left out: both are as many as there are calls.
const MCP: [&str; 12] = [
    names::MCP_METHOD_NAME,
    names::TOOL_NAME,
    names::PROMPT_NAME,
    names::OPERATION_NAME,
    names::ERROR_TYPE,
    names::RPC_STATUS,
    names::MCP_PROTOCOL_VERSION,
    names::NETWORK_TRANSPORT,
    names::NETWORK_PROTOCOL,
    names::NETWORK_PROTOCOL_VERSION,
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
];

impl Metrics {
    /// Counts one finished span.
    pub fn span(&mut self, span: &Span) {
        let origin = self.origins.of(span.trace, &span.resource);
        self.coverage(span, origin);
        let operation = text(span, names::OPERATION_NAME).unwrap_or_default();
        match (span.kind, operation) {
            (SpanKind::Client, _) if text(span, names::MCP_METHOD_NAME).is_some() => {
                self.store.record(&it::MCP_DURATION, origin, labels(span, &MCP), seconds(span));
            }
            // What is only looked up again, or asked for without an answer, is no call of its own.
            (SpanKind::Client, _) if span.attribute(names::HTTP_AUXILIARY).is_some() => {}
            (SpanKind::Client, _) if text(span, names::PROVIDER_NAME).is_some() => {
                self.model(span, origin, operation);
            }
            (SpanKind::Internal, "execute_tool") => self.tool(span, origin),
            (SpanKind::Internal, "invoke_agent") => self.agent(span, origin),
            _ => {}
        }
    }

    /// What was read of what connections carried, and by which way.
    fn coverage(&mut self, span: &Span, origin: usize) {
        let Some(plane) = text(span, names::CAPTURE_PLANE) else { return };
        let sum = |one, other| count(span, one).unwrap_or(0).saturating_add(count(span, other).unwrap_or(0));
        let (plane, read, bytes, connections) = if span.attribute(names::UNREAD_REASON).is_some() {
            // The tap saw it from outside: none of its probes brought a byte.
            let plane = if plane == "tap" { "none" } else { plane };
            (plane, false, sum(names::UNREAD_BYTES_OUT, names::UNREAD_BYTES_IN), 1)
        } else {
            // Only the span that stands for a whole request has it: nothing is counted twice.
            let Some(number) = count(span, names::CONNECTION_REQUEST) else { return };
            let bytes = sum(names::HTTP_REQUEST_BODY_SIZE, names::HTTP_RESPONSE_BODY_SIZE);
            (plane, true, bytes, u64::from(number == 0))
        };
        let mut labels: Labels = vec![(names::CAPTURE_PLANE, Scalar::Text(plane.to_owned()))];
        labels.extend(self::labels(span, &[names::CAPTURE_LIBRARY]));
        labels.push((own::COVERAGE_READ, Scalar::Bool(read)));
        self.store.add(&it::COVERAGE_BYTES, origin, labels.clone(), bytes);
        self.store.add(&it::COVERAGE_CONNECTIONS, origin, labels, connections);
    }

    fn model(&mut self, span: &Span, origin: usize, operation: &str) {
        let all = labels(span, &MODEL);
        let success = labels(span, &MODEL[..6]);
        let inference = matches!(operation, "chat" | "text_completion" | "generate_content");
        let (duration, first_chunk) = match self.naming {
            Naming::Genai01 if inference => (&it::INFERENCE_DURATION, &it::INFERENCE_FIRST_CHUNK),
            _ => (&it::CLIENT_DURATION, &it::CLIENT_FIRST_CHUNK),
        };
        self.store.record(duration, origin, all.clone(), seconds(span));
        if let Some(AttributeValue::Double(first)) = span.attribute(names::TIME_TO_FIRST_CHUNK) {
            self.store.record(first_chunk, origin, success.clone(), *first);
        }
        match self.naming {
            Naming::Compat => {
                for (key, kind) in [(names::INPUT_TOKENS, "input"), (names::OUTPUT_TOKENS, "output")] {
                    if let Some(tokens) = count(span, key) {
                        let labels = with(&success, own::TOKEN_TYPE, kind);
                        self.store.record(&it::TOKEN_USAGE, origin, labels, float(tokens));
                    }
                }
            }
            // The conventions have no settled name for the tokens of embeddings any more.
            Naming::Genai01 if !inference => {}
            Naming::Genai01 => self.inference_tokens(span, origin, &all, &success),
        }
        if let Some(AttributeValue::Double(usd)) = span.attribute(names::COST) {
            let labels = labels(span, &[names::PROVIDER_NAME, names::REQUEST_MODEL, names::RESPONSE_MODEL]);
            self.store.add(&it::COST, origin, labels, pico(*usd));
        }
    }

    fn inference_tokens(&mut self, span: &Span, origin: usize, all: &Labels, success: &Labels) {
        let calls: [(&str, &'static Instrument); 2] = [
            (names::INPUT_TOKENS, &it::INFERENCE_CALL_INPUT),
            (names::OUTPUT_TOKENS, &it::INFERENCE_CALL_OUTPUT),
        ];
        for (key, instrument) in calls {
            if let Some(tokens) = count(span, key) {
                self.store.record(instrument, origin, all.clone(), float(tokens));
            }
        }
        let sums: [(&str, &'static Instrument); 5] = [
            (names::INPUT_TOKENS, &it::INFERENCE_INPUT),
            (names::OUTPUT_TOKENS, &it::INFERENCE_OUTPUT),
            (names::CACHE_READ_TOKENS, &it::INFERENCE_CACHE_READ),
            (names::CACHE_WRITE_TOKENS, &it::INFERENCE_CACHE_WRITE),
            (names::REASONING_TOKENS, &it::INFERENCE_REASONING),
        ];
        for (key, instrument) in sums {
            if let Some(tokens) = count(span, key) {
                // Providers seldom say which modality a token was of.
                let labels = with(success, own::TOKEN_MODALITY, "unknown");
                self.store.add(instrument, origin, labels, tokens);
            }
        }
    }

    fn tool(&mut self, span: &Span, origin: usize) {
        if text(span, names::TOOL_TYPE) != Some("extension") {
            self.own_tool(span.trace);
        }
        let by_name = labels(span, &[names::TOOL_NAME]);
        let failed = matches!(span.status, Status::Error(_));
        self.store.add(&it::TOOL_CALLS, origin, by_name.clone(), 1);
        self.store.add(&it::TOOL_ERRORS, origin, by_name, failed.into());
        // Without a result nobody knows when it ended; its span ends with the run.
        if text(span, names::COMPLETION) != Some("unanswered") {
            self.store.record(&it::TOOL_DURATION, origin, labels(span, &TOOL), seconds(span));
        }
    }

    fn agent(&mut self, span: &Span, origin: usize) {
        self.store.record(&it::AGENT_DURATION, origin, labels(span, &AGENT), seconds(span));
        let by_name = labels(span, &[names::AGENT_NAME]);
        if let Some(calls) = count(span, names::RUN_LLM_CALLS) {
            self.store.record(&it::AGENT_INFERENCE_CALLS, origin, by_name.clone(), float(calls));
        }
        if !span.is_root() {
            return;
        }
        if let Some(calls) = self.own_tools(span.trace) {
            self.store.record(&it::AGENT_TOOL_CALLS, origin, by_name.clone(), float(calls));
        }
        let failed = matches!(span.status, Status::Error(_));
        for (status, count) in [("ok", u64::from(!failed)), ("error", u64::from(failed))] {
            self.store.add(&it::RUNS, origin, with(&by_name, own::RUN_STATUS, status), count);
        }
        let health: [(&str, &'static Instrument); 4] = [
            (names::RUN_UNPRICED, &it::CALLS_UNPRICED),
            (names::RUN_UNKNOWN_USAGE, &it::CALLS_UNKNOWN_USAGE),
            (names::RUN_UNREAD, &it::UNREAD),
            (names::LOST_FACTS, &it::LOST),
        ];
        for (key, instrument) in health {
            // The root says nothing of what never happened.
            self.store.add(instrument, origin, Labels::new(), count(span, key).unwrap_or(0));
        }
        for attribute in &span.attributes {
            if let Some(name) = attribute.key.strip_prefix("trackway.limit.")
                && let Some(hits) = attribute.value.as_int().and_then(|hits| u64::try_from(hits).ok())
            {
                let labels = vec![(own::LIMIT_NAME, Scalar::Text(name.to_owned()))];
                self.store.add(&it::LIMIT_HITS, origin, labels, hits);
            }
        }
    }
}

fn labels(span: &Span, keys: &[&'static str]) -> Labels {
    let label = |key: &&'static str| {
        let value = match span.attribute(key)? {
            AttributeValue::Text(text) => Scalar::Text(short(text)),
            AttributeValue::Int(value) => Scalar::Int(*value),
            AttributeValue::Bool(value) => Scalar::Bool(*value),
            AttributeValue::Double(_) | AttributeValue::Texts(_) => return None,
        };
        Some((*key, value))
    };
    keys.iter().filter_map(label).collect()
}

fn with(labels: &Labels, key: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((key, Scalar::Text(value.to_owned())));
    labels
}

fn short(text: &str) -> String {
    let end = text.floor_char_boundary(limits::METRIC_TEXT_BYTES);
    text.get(..end).unwrap_or_default().to_owned()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    span.attribute(key).and_then(AttributeValue::as_text)
}

fn count(span: &Span, key: &str) -> Option<u64> {
    span.attribute(key).and_then(AttributeValue::as_int).and_then(|value| u64::try_from(value).ok())
}

/// The span's duration.
fn seconds(span: &Span) -> f64 {
    float(span.end.since(span.start)) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "tokens, and nanoseconds of months, are exact in a double")]
fn float(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cost is not negative, and one that does not fit is the largest"
)]
fn pico(usd: f64) -> u64 {
    (usd * 1e12).round() as u64
}
