use std::sync::Arc;

use super::*;
use crate::flow::Time;
use crate::names;
use crate::telemetry::{SpanId, SpanKind, Status, TraceId};

fn set(key: &'static str, value: AttributeValue, class: Class) -> Attribute {
    Attribute { key: key.into(), value, class }
}

fn plain(key: &'static str, text: &str) -> Attribute {
    set(key, AttributeValue::Text(text.to_owned()), Class::Plain)
}

fn content(key: &'static str, text: &str) -> Attribute {
    set(key, AttributeValue::Text(text.to_owned()), Class::Content)
}

fn int(key: &'static str, value: i64) -> Attribute {
    set(key, AttributeValue::Int(value), Class::Plain)
}

fn span(attributes: Vec<Attribute>) -> Span {
    Span {
        trace: TraceId([7; 16]),
        id: SpanId([2; 8]),
        parent: None,
        name: "span".to_owned(),
        kind: SpanKind::Internal,
        start: Time(0),
        end: Time(1),
        status: Status::Unset,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        resource: Arc::default(),
    }
}

#[test]
fn a_limit_of_choices_is_whole_in_the_newer_conventions() {
    let top_k = |genai_01, value| {
        let mut span = span(vec![set(names::REQUEST_TOP_K, AttributeValue::Double(value), Class::Plain)]);
        Overlays { genai_01, ..Overlays::default() }.apply(&mut span);
        span.attribute(names::REQUEST_TOP_K).cloned()
    };
    assert_eq!(top_k(false, 40.0), Some(AttributeValue::Double(40.0)));
    assert_eq!(top_k(true, 40.0), Some(AttributeValue::Int(40)));
    assert_eq!(top_k(true, 0.5), Some(AttributeValue::Double(0.5)));
}

fn chat() -> Span {
    span(vec![
        plain(names::OPERATION_NAME, "chat"),
        plain(names::PROVIDER_NAME, "gcp.vertex_ai"),
        plain(names::REQUEST_MODEL, "m"),
        plain(names::RESPONSE_MODEL, "m-1"),
        plain(names::CONVERSATION_ID, "c1"),
        set(names::REQUEST_TEMPERATURE, AttributeValue::Double(0.5), Class::Plain),
        set(names::REQUEST_STOP, AttributeValue::Texts(vec!["END".to_owned()]), Class::Metadata),
        set(names::FINISH_REASONS, AttributeValue::Texts(vec!["tool_call".to_owned()]), Class::Plain),
        int(names::INPUT_TOKENS, 10),
        int(names::OUTPUT_TOKENS, 2),
        int(names::CACHE_WRITE_TOKENS, 4),
        set(names::COST, AttributeValue::Double(0.25), Class::Plain),
        content(names::SYSTEM_INSTRUCTIONS, r#"[{"type":"text","content":"be brief"}]"#),
        content(
            names::TOOL_DEFINITIONS,
            r#"[{"type":"function","name":"ls","parameters":{"type":"object"}},{"type":"web_search","name":"web"}]"#,
        ),
        content(
            names::INPUT_MESSAGES,
            r#"[{"role":"user","parts":[{"type":"text","content":"look"},
                {"type":"uri","modality":"image","uri":"https://x/y.png"}]},
                {"role":"assistant","parts":[{"type":"tool_call","id":"t1","name":"ls","arguments":{"a":1}}]},
                {"role":"user","parts":[{"type":"tool_call_response","id":"t1","response":"two"},
                {"type":"tool_call_response","id":"t2","response":{"n":2}}]}]"#,
        ),
        content(
            names::OUTPUT_MESSAGES,
            r#"[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},
                {"type":"tool_call","id":"t3","name":"ls","arguments":{}}],"finish_reason":"tool_call"}]"#,
        ),
    ])
}

/// What an overlay adds, one line each, in alphabetical order; content is marked with a star.
fn added(overlays: Overlays, span: &Span) -> Vec<String> {
    let mut after = span.clone();
    overlays.apply(&mut after);
    let mut lines: Vec<String> = after
        .attributes
        .iter()
        .skip(span.attributes.len())
        .map(|it| {
            let mark = match it.class {
                Class::Plain => "",
                Class::Metadata => "+",
                Class::Content => "*",
            };
            match &it.value {
                AttributeValue::Text(text) => format!("{mark}{}={text}", it.key),
                AttributeValue::Int(value) => format!("{mark}{}={value}", it.key),
                other => format!("{mark}{}={other:?}", it.key),
            }
        })
        .collect();
    lines.sort();
    let mut keys: Vec<_> = after.attributes.iter().map(|it| it.key.clone()).collect();
    keys.sort();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "keys stay unique");
    lines
}

const OPENINFERENCE: Overlays = Overlays { genai_01: false, openinference: true, legacy: false };
const LEGACY: Overlays = Overlays { genai_01: false, openinference: false, legacy: true };
const GENAI_01: Overlays = Overlays { genai_01: true, openinference: false, legacy: false };

fn check(overlays: Overlays, span: &Span, expect: &str) {
    let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(added(overlays, span), expect);
}

#[test]
fn openinference_of_a_chat() {
    check(
        OPENINFERENCE,
        &chat(),
        r#"
        *input.value={"n":2}
        *llm.input_messages.0.message.content=be brief
        *llm.input_messages.0.message.role=system
        *llm.input_messages.1.message.contents.0.message_content.text=look
        *llm.input_messages.1.message.contents.0.message_content.type=text
        *llm.input_messages.1.message.contents.1.message_content.image.image.url=https://x/y.png
        *llm.input_messages.1.message.contents.1.message_content.type=image
        *llm.input_messages.1.message.role=user
        *llm.input_messages.2.message.role=assistant
        *llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments={"a":1}
        *llm.input_messages.2.message.tool_calls.0.tool_call.function.name=ls
        *llm.input_messages.2.message.tool_calls.0.tool_call.id=t1
        *llm.input_messages.3.message.content=two
        *llm.input_messages.3.message.role=tool
        *llm.input_messages.3.message.tool_call_id=t1
        *llm.input_messages.4.message.content={"n":2}
        *llm.input_messages.4.message.role=tool
        *llm.input_messages.4.message.tool_call_id=t2
        *llm.output_messages.0.message.role=assistant
        *llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments={}
        *llm.output_messages.0.message.tool_calls.0.tool_call.function.name=ls
        *llm.output_messages.0.message.tool_calls.0.tool_call.id=t3
        *llm.tools.0.tool.json_schema={"function":{"name":"ls","parameters":{"type":"object"}},"type":"function"}
        *llm.tools.1.tool.json_schema={"name":"web","type":"web_search"}
        *output.value={"content":null,"role":"assistant","tool_calls":[{"arguments":"{}","name":"ls"}]}
        +llm.invocation_parameters={"stop_sequences":["END"],"temperature":0.5}
        input.mime_type=text/plain
        llm.cost.total=Double(0.25)
        llm.finish_reason=tool_call
        llm.model_name=m-1
        llm.provider=google
        llm.request.model_name=m
        llm.response.model_name=m-1
        llm.system=vertexai
        llm.token_count.completion=2
        llm.token_count.prompt=10
        llm.token_count.prompt_details.cache_write=4
        llm.token_count.total=12
        openinference.span.kind=LLM
        output.mime_type=application/json
        session.id=c1
        "#,
    );
}

#[test]
fn legacy_names_of_a_chat() {
    check(
        LEGACY,
        &chat(),
        r#"
        *gen_ai.completion.0.finish_reason=tool_call
        *gen_ai.completion.0.role=assistant
        *gen_ai.completion.0.tool_calls.0.arguments={}
        *gen_ai.completion.0.tool_calls.0.id=t3
        *gen_ai.completion.0.tool_calls.0.name=ls
        *gen_ai.prompt.0.content=be brief
        *gen_ai.prompt.0.role=system
        *gen_ai.prompt.1.content=look
        *gen_ai.prompt.1.role=user
        *gen_ai.prompt.2.role=assistant
        *gen_ai.prompt.2.tool_calls.0.arguments={"a":1}
        *gen_ai.prompt.2.tool_calls.0.id=t1
        *gen_ai.prompt.2.tool_calls.0.name=ls
        *gen_ai.prompt.3.content=two
        *gen_ai.prompt.3.role=tool
        *gen_ai.prompt.3.tool_call_id=t1
        *gen_ai.prompt.4.content={"n":2}
        *gen_ai.prompt.4.role=tool
        *gen_ai.prompt.4.tool_call_id=t2
        gen_ai.system=vertex_ai
        llm.completion_tokens=2
        llm.model=m-1
        llm.prompt_tokens=10
        llm.request.type=chat
        llm.total_tokens=12
        "#,
    );
}

#[test]
fn a_tool() {
    let tool = span(vec![
        plain(names::OPERATION_NAME, "execute_tool"),
        plain(names::TOOL_NAME, "ls"),
        plain(names::TOOL_CALL_ID, "t1"),
        content(names::TOOL_ARGUMENTS, r#"{"path":"."}"#),
        content(names::TOOL_RESULT, r#""two files""#),
    ]);
    check(
        OPENINFERENCE,
        &tool,
        r#"
        *input.value={"path":"."}
        *output.value=two files
        *tool.parameters={"path":"."}
        input.mime_type=application/json
        openinference.span.kind=TOOL
        output.mime_type=text/plain
        tool.id=t1
        tool.name=ls
        "#,
    );
    check(LEGACY, &tool, "traceloop.span.kind=tool");
    assert!(added(GENAI_01, &tool).is_empty());
}

#[test]
fn the_root() {
    let root = span(vec![
        plain(names::OPERATION_NAME, "invoke_agent"),
        plain(names::AGENT_NAME, "codex"),
        content(names::INPUT_MESSAGES, r#"[{"role":"user","parts":[{"type":"text","content":"fix"}]}]"#),
        content(
            names::OUTPUT_MESSAGES,
            r#"[{"role":"assistant","parts":[{"type":"text","content":"done"}],"finish_reason":"stop"}]"#,
        ),
    ]);
    check(
        OPENINFERENCE,
        &root,
        "*input.value=fix
         *output.value=done
         agent.name=codex
         input.mime_type=text/plain
         openinference.span.kind=AGENT
         output.mime_type=text/plain",
    );
    check(LEGACY, &root, "traceloop.span.kind=agent");
}

#[test]
fn newer_names_take_the_place_of_older_ones() {
    let mut chat = chat();
    let count = chat.attributes.len();
    GENAI_01.apply(&mut chat);
    assert_eq!(chat.attributes.len(), count);
    assert_eq!(chat.attribute(names::CACHE_WRITE_TOKENS), None);
    assert_eq!(chat.attribute("gen_ai.usage.cache_write.input_tokens"), Some(&AttributeValue::Int(4)));
    // Together with another, which reads the older names.
    let mut both = super::tests::chat();
    Overlays { openinference: true, ..GENAI_01 }.apply(&mut both);
    assert_eq!(both.attribute("llm.token_count.prompt_details.cache_write"), Some(&AttributeValue::Int(4)));
}

#[test]
fn what_is_not_there_adds_nothing() {
    let call = span(vec![plain(names::HTTP_METHOD, "GET")]);
    for overlays in [OPENINFERENCE, LEGACY, GENAI_01] {
        assert!(added(overlays, &call).is_empty());
    }
    let process = span(vec![int(names::PROCESS_PID, 7)]);
    check(OPENINFERENCE, &process, "openinference.span.kind=CHAIN");
    // Content that was cut to something else, and a count that is not known.
    let chat = span(vec![
        plain(names::OPERATION_NAME, "chat"),
        int(names::INPUT_TOKENS, 1),
        content(names::INPUT_MESSAGES, "\"[{…"),
        content(names::OUTPUT_MESSAGES, "[1,{\"role\":\"x\"},"),
    ]);
    check(OPENINFERENCE, &chat, "llm.token_count.prompt=1\nopeninference.span.kind=LLM");
}
