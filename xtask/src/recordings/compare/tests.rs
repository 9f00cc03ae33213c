use super::*;

fn expected() -> Value {
    json!({"id": "1", "api_format": "openai.chat", "provider": "openai", "operation": "chat", "stream": false,
        "request_model": "m", "response_model": "m-1", "response_id": 7, "input_tokens_total": 3,
        "output_tokens_total": 0, "cached_input_tokens": null, "finish_reasons": ["stop", null, 5],
        "tool_calls": [{"id": "", "name": "f", "arguments": {"x": 1.0}, "arguments_text": "{\"x\": 1.0}"}],
        "tool_results_in_request": [{"tool_call_id": "c", "name": null, "content_prefix": "no"}],
        "output_text": "", "user": null, "complete": true,
        "error": {"type": "t", "code": 400, "message": "no"}})
}

fn answer() -> Value {
    json!({"id": "1", "kind": "llm", "api_format": "openai.chat", "provider": "openai", "operation": "chat",
        "stream": false, "request_model": "m", "response_model": "m-1", "response_id": "7",
        "input_tokens_total": 3, "output_tokens_total": 0, "finish_reasons": ["stop", "5"],
        "tool_calls": [{"id": null, "name": "f", "arguments": {"x": 1}}],
        "tool_results_in_request": [{"tool_call_id": "c", "name": null, "content_prefix": "yes"}],
        "complete": true, "error": {"type": "400", "message": "no"}})
}

fn differing(want: &Value, got: &Value) -> Vec<String> {
    differences(&fields(want, got)).into_iter().map(|difference| difference.field).collect()
}

#[test]
fn two_ways_to_say_the_same_are_equal() {
    assert!(
        differing(&expected(), &answer()).is_empty(),
        "{:?}",
        differences(&fields(&expected(), &answer()))
    );
}

#[test]
fn every_field_can_differ() {
    for field in PLAIN.iter().chain(&["finish_reasons", "tool_calls", "tool_results_in_request", "error"]) {
        let mut got = answer();
        got[*field] = json!(["another"]);
        assert_eq!(differing(&expected(), &got), [*field]);
    }
    let mut got = answer();
    got["output_tokens_total"] = Value::Null;
    assert_eq!(differing(&expected(), &got), ["output_tokens_total"], "unknown is not zero");
    got = answer();
    got["kind"] = "none".into();
    assert_eq!(differing(&expected(), &got), ["kind"]);
}

#[test]
fn other_traffic_is_no_call_and_rpc_is_compared_member_by_member() {
    let other = json!({"api_format": "other", "request_model": "m"});
    assert!(differing(&other, &json!({"kind": "none"})).is_empty());
    assert_eq!(differing(&other, &json!({"kind": "llm"})), ["kind"]);
    let want = json!({"api_format": "mcp", "rpc": {"method": "ping", "id": 1, "error": null}});
    let mut got = json!({"kind": "mcp", "api_format": "mcp", "rpc": {"method": "ping", "id": 1}});
    assert!(differing(&want, &got).is_empty());
    got["rpc"]["id"] = 2.into();
    assert_eq!(differing(&want, &got), ["rpc.id"]);
}

#[test]
fn what_proves_nothing_is_set_aside() {
    assert!(doubtful(&json!({"suspected_handmade": true})));
    assert!(doubtful(&json!({"notes": ["a", "AMBIGUOUS: b"]})));
    assert!(!doubtful(&expected()));
}

#[test]
fn a_compaction_is_set_aside_and_nothing_else_of_that_kind() {
    let want = json!({"api_format": "other"});
    assert!(compaction(&want, &json!({"api_format": "openai.responses_compact"})));
    assert!(!compaction(&want, &json!({"api_format": "openai.responses"})));
    assert!(!compaction(
        &json!({"api_format": "openai.chat"}),
        &json!({"api_format": "openai.responses_compact"})
    ));
}

#[test]
fn a_count_stands_for_a_total_that_nobody_worked_out() {
    let want = json!({"api_format": "watsonx.generate", "input_tokens": 7, "input_tokens_total": null});
    let fields = fields(&want, &json!({"kind": "llm", "input_tokens_total": 7}));
    assert_eq!(fields["input_tokens_total"].0, fields["input_tokens_total"].1);
}
