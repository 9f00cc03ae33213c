//! Runs and spans as JSON objects.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Map, Value, json};
use trackway_core::flow::Time;

use super::usd;
use crate::store::{Day, Match, Stored, Summary};

/// One run.
pub(crate) fn run(run: &Summary, now: Time) -> Value {
    let totals = &run.totals;
    // Nothing known is not nothing.
    let known = totals.llm_calls > totals.calls_without_usage;
    let tokens = |number: u64| (known || number > 0).then_some(number);
    let priced =
        totals.cost_pico_usd > 0 || totals.llm_calls == 0 || totals.calls_without_cost < totals.llm_calls;
    json!({
        "trace": run.trace,
        "agent": run.agent,
        "service": run.service,
        "command": run.command,
        "task": run.task,
        "status": run.state.word(),
        "reason": run.reason,
        "exit_code": run.exit,
        "signal": run.signal,
        "start": run.start.0,
        "end": run.end.map(|end| end.0),
        "local_time": run.local,
        "duration_ms": millis(run.length(now)),
        "llm_calls": totals.llm_calls,
        "calls_without_usage": totals.calls_without_usage,
        "calls_without_cost": totals.calls_without_cost,
        "tool_calls": totals.tool_calls,
        "tool_errors": totals.tool_errors,
        "http_calls": totals.http_calls,
        "unread_connections": totals.unread,
        "processes": totals.processes,
        "spans": run.spans,
        "failed_spans": run.failed,
        "spans_not_stored": run.unstored,
        "input_tokens": tokens(totals.input_tokens),
        "output_tokens": tokens(totals.output_tokens),
        "cache_read_tokens": tokens(totals.cache_read_tokens),
        "cache_creation_tokens": tokens(run.written),
        "reasoning_tokens": tokens(totals.reasoning_tokens),
        "cost_usd": priced.then(|| usd(totals.cost_pico_usd)),
        "models": run.models,
        "providers": run.providers,
        "tools": run.tools,
        "users": run.users,
        "sessions": run.sessions,
    })
}

/// One day, agent and model.
pub(super) fn day(day: &Day) -> Value {
    json!({
        "day": day.day,
        "agent": day.agent,
        "model": Some(&day.model).filter(|model| !model.is_empty()),
        "runs": day.runs,
        "failed_runs": day.failed,
        "llm_calls": day.calls,
        "llm_errors": day.call_errors,
        "tool_calls": day.tool_calls,
        "tool_errors": day.tool_errors,
        "input_tokens": day.input,
        "output_tokens": day.output,
        "cache_read_tokens": day.cached,
        "cache_creation_tokens": day.written,
        "reasoning_tokens": day.reasoning,
        "cost_usd": usd(day.cost),
        "calls_without_cost": day.unpriced,
    })
}

/// One match.
pub(super) fn hit(hit: &Match) -> Value {
    json!({
        "trace": hit.trace,
        "agent": hit.agent,
        "span": hit.span,
        "name": hit.name,
        "time": hit.time.0,
        "local_time": hit.local,
        "in": hit.place.to_string(),
        "snippet": hit.snippet.replace(Match::MARKS, "**"),
    })
}

/// One span.
pub(super) fn span(stored: &Stored) -> Value {
    let span = &stored.span;
    let kind = SpanKind::try_from(span.kind).unwrap_or_default();
    let events = span.events.iter().map(|event| {
        json!({"name": event.name, "time": event.time_unix_nano, "attributes": attributes(&event.attributes)})
    });
    json!({
        "trace": span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "span": stored.id(),
        "parent": Some(stored.parent()).filter(|id| !id.is_empty()),
        "name": span.name,
        "kind": kind.as_str_name().trim_start_matches("SPAN_KIND_").to_ascii_lowercase(),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "duration_ms": millis(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano)),
        "error": stored.error(),
        "attributes": attributes(&span.attributes),
        "events": events.collect::<Value>(),
        "resource": attributes(&stored.resource.attributes),
    })
}

fn attributes(attributes: &[KeyValue]) -> Map<String, Value> {
    attributes.iter().map(|it| (it.key.clone(), value(it.value.as_ref()))).collect()
}

/// An attribute's value.
pub(super) fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::IntValue(number)) => (*number).into(),
        Some(Any::DoubleValue(number)) => (*number).into(),
        Some(Any::BoolValue(truth)) => (*truth).into(),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|it| value(Some(it))).collect(),
        Some(Any::KvlistValue(list)) => attributes(&list.values).into(),
        Some(Any::BytesValue(bytes)) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        _ => Value::Null,
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds with a fraction")]
fn millis(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
