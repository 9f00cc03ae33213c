use proptest::prelude::*;

use super::*;
use crate::limits::{METRIC_ORIGINS, METRIC_SETS};
use crate::names;
use crate::telemetry::{Span, SpanId, SpanKind, Status};

const MS: u64 = 1_000_000;

fn text(key: &'static str, value: &str) -> Attribute {
    Attribute { key: key.into(), value: AttributeValue::Text(value.to_owned()), class: Class::Plain }
}

fn int(key: &'static str, value: u64) -> Attribute {
    let value = AttributeValue::Int(value.try_into().unwrap());
    Attribute { key: key.into(), value, class: Class::Plain }
}

fn double(key: &'static str, value: f64) -> Attribute {
    Attribute { key: key.into(), value: AttributeValue::Double(value), class: Class::Plain }
}

fn service(name: &str) -> Arc<Resource> {
    let attributes = vec![
        text(names::SERVICE_NAME, name),
        text(names::SERVICE_INSTANCE_ID, "of a process"),
        int(names::PROCESS_PID, 7),
    ];
    Arc::new(Resource { attributes })
}

fn span(kind: SpanKind, nanos: u64, attributes: Vec<Attribute>) -> Span {
    Span {
        trace: TraceId([7; 16]),
        id: SpanId([2; 8]),
        parent: Some(SpanId([1; 8])),
        name: "span".to_owned(),
        kind,
        start: Time(1_000),
        end: Time(1_000 + nanos),
        status: Status::Unset,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        resource: service("a"),
    }
}

fn chat(nanos: u64, more: Vec<Attribute>) -> Span {
    let mut attributes = vec![
        text(names::OPERATION_NAME, "chat"),
        text(names::PROVIDER_NAME, "openai"),
        text(names::REQUEST_MODEL, "m"),
        text(names::SERVER_ADDRESS, "api.openai.com"),
        int(names::SERVER_PORT, 443),
    ];
    attributes.extend(more);
    span(SpanKind::Client, nanos, attributes)
}

fn tool(name: &str, failed: bool, more: Vec<Attribute>) -> Span {
    let mut attributes = vec![text(names::OPERATION_NAME, "execute_tool"), text(names::TOOL_NAME, name)];
    attributes.extend(more);
    let mut span = span(SpanKind::Internal, 20 * MS, attributes);
    if failed {
        span.status = Status::Error("no".to_owned());
        span.attributes.push(text(names::ERROR_TYPE, "tool_error"));
    }
    span
}

fn root(failed: bool, more: Vec<Attribute>) -> Span {
    let mut attributes = vec![
        text(names::OPERATION_NAME, "invoke_agent"),
        text(names::AGENT_NAME, "agent"),
        int(names::RUN_LLM_CALLS, 3),
        int(names::RUN_TOOL_CALLS, 9),
    ];
    attributes.extend(more);
    let mut span = span(SpanKind::Internal, 400 * MS, attributes);
    span.parent = None;
    if failed {
        span.status = Status::Error("no".to_owned());
    }
    span
}

fn counted(temporality: Temporality, spans: &[Span]) -> Metrics {
    let mut metrics = Metrics::new(Time(0), Naming::Compat, temporality);
    spans.iter().for_each(|span| metrics.span(span));
    metrics
}

/// A point as one line.
fn line(point: &Point) -> String {
    let labels: Vec<String> = point
        .attributes
        .iter()
        .map(|it| match &it.value {
            AttributeValue::Text(text) => format!("{}={text}", it.key),
            AttributeValue::Int(value) => format!("{}={value}", it.key),
            other => format!("{}={other:?}", it.key),
        })
        .collect();
    let value = match &point.value {
        Value::Count(count) => count.to_string(),
        Value::Number(number) => format!("{number:?}"),
        Value::Histogram(it) => {
            let hit: Vec<usize> = (0..it.buckets.len()).filter(|place| it.buckets[*place] > 0).collect();
            format!("n={} sum={:?} min={:?} max={:?} in {hit:?}", it.count, it.sum, it.min, it.max)
        }
    };
    format!("{}{{{}}} {value}", point.instrument.name, labels.join(","))
}

fn lines(points: &[Point]) -> Vec<String> {
    points.iter().map(line).collect()
}

fn of<'a>(points: &'a [Point], name: &str) -> Vec<&'a Point> {
    points.iter().filter(|point| point.instrument.name == name).collect()
}

#[test]
fn a_run_as_metrics() {
    let spans = [
        chat(
            640 * MS,
            vec![
                text(names::RESPONSE_MODEL, "m-1"),
                int(names::INPUT_TOKENS, 64),
                int(names::OUTPUT_TOKENS, 0),
                double(names::TIME_TO_FIRST_CHUNK, 0.0101),
                double(names::COST, 0.000_000_000_001),
            ],
        ),
        chat(82_000 * MS, vec![text(names::ERROR_TYPE, "429")]),
        chat(1, vec![int(names::INPUT_TOKENS, 9), int(names::HTTP_AUXILIARY, 1)]),
        tool("ls", false, vec![text(names::TOOL_TYPE, "function")]),
        tool("ls", true, vec![text(names::TOOL_TYPE, "function")]),
        tool("search", false, vec![text(names::TOOL_TYPE, "extension")]),
        tool("late", false, vec![text(names::COMPLETION, "unanswered")]),
        span(
            SpanKind::Client,
            300_000 * MS,
            vec![
                text(names::OPERATION_NAME, "execute_tool"),
                text(names::MCP_METHOD_NAME, "tools/call"),
                text(names::TOOL_NAME, "add"),
                text(names::MCP_SESSION_ID, "one of many"),
            ],
        ),
        root(false, vec![int(names::RUN_UNREAD, 2), int(names::LIMIT_SPANS, 5)]),
    ];
    let m = "gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=m";
    let server = "server.address=api.openai.com,server.port=443";
    let expect = [
        "agent_tool_error_rate{gen_ai.tool.name=late} 0.0".to_owned(),
        "agent_tool_error_rate{gen_ai.tool.name=ls} 0.5".to_owned(),
        "agent_tool_error_rate{gen_ai.tool.name=search} 0.0".to_owned(),
        "agent_task_completion_rate{gen_ai.agent.name=agent} 1.0".to_owned(),
        "agent_runs_total{gen_ai.agent.name=agent,status=error} 0".to_owned(),
        "agent_runs_total{gen_ai.agent.name=agent,status=ok} 1".to_owned(),
        "agent_token_cost_total{gen_ai.provider.name=openai,gen_ai.request.model=m,\
         gen_ai.response.model=m-1} 1e-12"
            .to_owned(),
        "agent_tool_calls_total{gen_ai.tool.name=late} 1".to_owned(),
        "agent_tool_calls_total{gen_ai.tool.name=ls} 2".to_owned(),
        "agent_tool_calls_total{gen_ai.tool.name=search} 1".to_owned(),
        "agent_tool_errors_total{gen_ai.tool.name=late} 0".to_owned(),
        "agent_tool_errors_total{gen_ai.tool.name=ls} 1".to_owned(),
        "agent_tool_errors_total{gen_ai.tool.name=search} 0".to_owned(),
        // A duration that equals a bound belongs to that bound's bucket; the last bucket has no bound.
        format!(
            "gen_ai.client.operation.duration{{{m},gen_ai.response.model=m-1,{server}}} \
             n=1 sum=0.64 min=0.64 max=0.64 in [6]"
        ),
        format!(
            "gen_ai.client.operation.duration{{{m},{server},error.type=429}} \
             n=1 sum=82.0 min=82.0 max=82.0 in [14]"
        ),
        format!(
            "gen_ai.client.operation.time_to_first_chunk{{{m},gen_ai.response.model=m-1,{server}}} \
             n=1 sum=0.0101 min=0.0101 max=0.0101 in [1]"
        ),
        format!(
            "gen_ai.client.token.usage{{{m},gen_ai.response.model=m-1,{server},gen_ai.token.type=input}} \
             n=1 sum=64.0 min=64.0 max=64.0 in [3]"
        ),
        format!(
            "gen_ai.client.token.usage{{{m},gen_ai.response.model=m-1,{server},gen_ai.token.type=output}} \
             n=1 sum=0.0 min=0.0 max=0.0 in [0]"
        ),
        "gen_ai.execute_tool.duration{gen_ai.tool.name=ls,gen_ai.tool.type=function} \
         n=1 sum=0.02 min=0.02 max=0.02 in [1]"
            .to_owned(),
        "gen_ai.execute_tool.duration{gen_ai.tool.name=ls,gen_ai.tool.type=function,error.type=tool_error} \
         n=1 sum=0.02 min=0.02 max=0.02 in [1]"
            .to_owned(),
        "gen_ai.execute_tool.duration{gen_ai.tool.name=search,gen_ai.tool.type=extension} \
         n=1 sum=0.02 min=0.02 max=0.02 in [1]"
            .to_owned(),
        "gen_ai.invoke_agent.duration{gen_ai.agent.name=agent} n=1 sum=0.4 min=0.4 max=0.4 in [2]".to_owned(),
        "gen_ai.invoke_agent.inference_calls{gen_ai.agent.name=agent} n=1 sum=3.0 min=3.0 max=3.0 in [2]"
            .to_owned(),
        // Without the one that the provider ran.
        "gen_ai.invoke_agent.tool_calls{gen_ai.agent.name=agent} n=1 sum=3.0 min=3.0 max=3.0 in [2]"
            .to_owned(),
        "mcp.client.operation.duration{mcp.method.name=tools/call,gen_ai.tool.name=add,\
         gen_ai.operation.name=execute_tool} n=1 sum=300.0 min=300.0 max=300.0 in [13]"
            .to_owned(),
        "trackway.calls.without_cost{} 0".to_owned(),
        "trackway.calls.without_usage{} 0".to_owned(),
        "trackway.connections.unread{} 2".to_owned(),
        "trackway.limit.hits{trackway.limit.name=spans_unplaced} 5".to_owned(),
        "trackway.process_facts.lost{} 0".to_owned(),
    ];
    // By name, then by attributes, the absent before the present.
    let mut found = lines(&counted(Temporality::Cumulative, &spans).report(Time(9)));
    let mut expect = expect.to_vec();
    found.sort();
    expect.sort();
    assert_eq!(found, expect);
}

#[test]
fn coverage_is_counted_once_for_each_request() {
    let call = |plane, number: Option<u64>| {
        let mut attributes = vec![
            text(names::CAPTURE_PLANE, plane),
            int(names::HTTP_REQUEST_BODY_SIZE, 100),
            int(names::HTTP_RESPONSE_BODY_SIZE, 11),
        ];
        attributes.extend(number.map(|number| int(names::CONNECTION_REQUEST, number)));
        if plane == "tap" {
            attributes.push(text(names::CAPTURE_LIBRARY, "openssl"));
        }
        span(SpanKind::Client, MS, attributes)
    };
    let unread = |plane| {
        let attributes = vec![
            text(names::CAPTURE_PLANE, plane),
            text(names::UNREAD_REASON, "no_probe: none"),
            int(names::UNREAD_BYTES_OUT, 5),
            int(names::UNREAD_BYTES_IN, 7),
        ];
        span(SpanKind::Client, MS, attributes)
    };
    let spans = [
        call("tap", Some(0)),
        call("tap", Some(1)),
        // Another message of the same batch.
        call("tap", None),
        call("redirect", Some(0)),
        unread("redirect"),
        unread("tap"),
        unread("tap"),
    ];
    let points = counted(Temporality::Cumulative, &spans).report(Time(9));
    let mut found = lines(&points);
    found.retain(|line| line.starts_with("trackway.coverage."));
    found.sort();
    let (plane, read) = ("trackway.capture.plane", "trackway.coverage.read");
    let library = "trackway.capture.library=openssl";
    assert_eq!(
        found,
        [
            format!("trackway.coverage.bytes{{{plane}=none,{read}=Bool(false)}} 24"),
            format!("trackway.coverage.bytes{{{plane}=redirect,{read}=Bool(false)}} 12"),
            format!("trackway.coverage.bytes{{{plane}=redirect,{read}=Bool(true)}} 111"),
            format!("trackway.coverage.bytes{{{plane}=tap,{library},{read}=Bool(true)}} 222"),
            format!("trackway.coverage.connections{{{plane}=none,{read}=Bool(false)}} 2"),
            format!("trackway.coverage.connections{{{plane}=redirect,{read}=Bool(false)}} 1"),
            format!("trackway.coverage.connections{{{plane}=redirect,{read}=Bool(true)}} 1"),
            format!("trackway.coverage.connections{{{plane}=tap,{library},{read}=Bool(true)}} 1"),
        ]
    );
}

#[test]
fn buckets_hold_their_upper_bound() {
    for bounds in [
        &instrument::CALL_SECONDS[..],
        &instrument::TOKENS,
        &instrument::AGENT_SECONDS,
        &instrument::CALLS,
        &instrument::MCP_SECONDS,
    ] {
        assert!(bounds.is_sorted());
        let mut store = Store::default();
        let one: &'static Instrument = Box::leak(Box::new(Instrument {
            name: "one",
            unit: "",
            description: "",
            kind: Kind::Histogram(Box::leak(bounds.to_vec().into_boxed_slice())),
        }));
        for bound in bounds {
            for value in [bound.next_down(), *bound, bound.next_up()] {
                store.record(one, 0, Labels::new(), value);
            }
        }
        let (_, _, series) = store.iter_mut().next().unwrap();
        let Data::Histogram(histogram) = &series.data else { panic!() };
        // Two of each bound's three, and the third of the bound below.
        let mut expect = vec![3; bounds.len() + 1];
        expect[0] = 2;
        *expect.last_mut().unwrap() = 1;
        assert_eq!(histogram.buckets, expect);
    }
}

#[test]
fn the_bounds_are_those_of_the_conventions() {
    let doubled = |first: f64, count: i32| (0..count).map(move |n| first * 2f64.powi(n)).collect::<Vec<_>>();
    let close = |found: &[f64], expect: Vec<f64>| {
        assert_eq!(found.len(), expect.len());
        assert!(found.iter().zip(expect).all(|(a, b)| (a - b).abs() < 1e-9 * b), "{found:?}");
    };
    close(&instrument::CALL_SECONDS, doubled(0.01, 14));
    close(&instrument::TOKENS, (0..14).map(|n| 4f64.powi(n)).collect());
    close(&instrument::AGENT_SECONDS, doubled(0.1, 13));
    close(&instrument::CALLS, doubled(1.0, 8));
}

#[test]
fn the_names_of_v0_1() {
    let mut metrics = Metrics::new(Time(0), Naming::Genai01, Temporality::Cumulative);
    metrics.span(&chat(1, vec![int(names::INPUT_TOKENS, 5), int(names::CACHE_WRITE_TOKENS, 2)]));
    let mut embeddings = chat(1, vec![int(names::INPUT_TOKENS, 5)]);
    embeddings.attributes[0] = text(names::OPERATION_NAME, "embeddings");
    metrics.span(&embeddings);
    let points = metrics.report(Time(9));
    let names: Vec<&str> = points.iter().map(|point| point.instrument.name).collect();
    assert_eq!(
        names,
        [
            "gen_ai.client.inference.duration",
            "gen_ai.client.inference.operation.input_tokens",
            "gen_ai.client.inference.usage.cache_write.input_tokens",
            "gen_ai.client.inference.usage.input_tokens",
            "gen_ai.client.operation.duration",
        ]
    );
    assert!(line(&points[3]).ends_with("gen_ai.token.modality=unknown} 5"), "{}", line(&points[3]));
}

#[test]
fn cumulative_repeats_and_delta_does_not() {
    let spans = [chat(MS, vec![int(names::INPUT_TOKENS, 5)]), tool("ls", true, vec![])];
    for (temporality, start, again) in [(Temporality::Cumulative, 0, 2), (Temporality::Delta, 50, 1)] {
        let mut metrics = counted(temporality, &spans);
        let first = metrics.report(Time(50));
        assert!(first.iter().all(|point| (point.start, point.time) == (Time(0), Time(50))));
        let idle = metrics.report(Time(60));
        assert!(of(&idle, "agent_tool_error_rate").is_empty(), "no calls, no rate");
        assert_eq!(idle.is_empty(), temporality == Temporality::Delta);
        metrics.span(&tool("ls", false, vec![]));
        let last = metrics.report(Time(70));
        let calls = of(&last, "agent_tool_calls_total");
        assert_eq!(calls[0].value, Value::Count(again));
        assert_eq!(calls[0].start, Time(if start == 0 { 0 } else { 60 }));
        assert_eq!(of(&last, "agent_tool_error_rate")[0].value, Value::Number(0.0), "of this interval");
    }
}

#[test]
fn what_finds_no_place_is_marked() {
    let mut metrics = Metrics::new(Time(0), Naming::Compat, Temporality::Cumulative);
    for number in 0..METRIC_SETS + 100 {
        metrics.span(&tool(&number.to_string(), false, vec![]));
    }
    let points = metrics.report(Time(9));
    let calls = of(&points, "agent_tool_calls_total");
    assert_eq!(calls.len(), METRIC_SETS);
    let rest: Vec<_> =
        calls.iter().filter(|point| point.attributes[0].key == "otel.metric.overflow").collect();
    assert_eq!(rest[0].attributes[0].value, AttributeValue::Bool(true));
    assert_eq!(rest[0].value, Value::Count(101));
}

#[test]
fn services_are_told_apart_and_processes_are_not() {
    let mut metrics = Metrics::new(Time(0), Naming::Compat, Temporality::Cumulative);
    for number in 0..METRIC_ORIGINS + 3 {
        let resource = service(&number.to_string());
        metrics.span(&Span { resource, ..tool("ls", false, vec![]) });
    }
    metrics.span(&Span { resource: service("0"), ..tool("ls", false, vec![]) });
    let points = metrics.report(Time(9));
    let calls = of(&points, "agent_tool_calls_total");
    assert_eq!(calls.len(), METRIC_ORIGINS + 1);
    let run = text(names::SERVICE_INSTANCE_ID, &TraceId([7; 16]).to_string());
    assert_eq!(calls[0].resource.attributes, [text(names::SERVICE_NAME, "0"), run.clone()]);
    assert_eq!(calls[0].value, Value::Count(2));
    let rest = calls.last().unwrap();
    assert_eq!((&rest.value, &rest.resource.attributes), (&Value::Count(3), &vec![run]));
}

#[test]
fn a_failed_run_counts_as_one() {
    let points = counted(Temporality::Cumulative, &[root(false, vec![]), root(true, vec![])]).report(Time(9));
    assert_eq!(of(&points, "agent_task_completion_rate")[0].value, Value::Number(0.5));
}

proptest! {
    #[test]
    fn sums_equal_the_spans(
        calls in prop::collection::vec(
            (0..200_000u64, prop::option::of(0..1_000_000u64), prop::option::of(0..100_000u64),
             prop::option::of(0..1_000_000_000u64), 0..3u8),
            0..60,
        ),
        cuts in prop::collection::btree_set(0..60usize, 0..5),
        delta in any::<bool>(),
    ) {
        let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
        let mut metrics = Metrics::new(Time(0), Naming::Compat, temporality);
        let mut told: Vec<Vec<Point>> = Vec::new();
        for (number, (ms, input, output, pico, model)) in calls.iter().enumerate() {
            let mut more = vec![text(names::RESPONSE_MODEL, &model.to_string())];
            more.extend(input.map(|tokens| int(names::INPUT_TOKENS, tokens)));
            more.extend(output.map(|tokens| int(names::OUTPUT_TOKENS, tokens)));
            more.extend(pico.map(|pico| double(names::COST, dollars(pico))));
            metrics.span(&chat(ms * MS, more));
            if cuts.contains(&number) {
                told.push(metrics.report(Time(number as u64)));
            }
        }
        told.push(metrics.report(Time(100)));
        let points = if delta { told.concat() } else { told.pop().unwrap() };
        let sum = |name: &str, label: Option<(&str, &str)>| -> (u64, f64) {
            let fits = |point: &&&Point| label.is_none_or(|(key, value)| {
                point.attributes.iter().any(|it| it.key == key && it.value.as_text() == Some(value))
            });
            of(&points, name).iter().filter(fits).fold((0, 0.0), |(count, sum), point| match &point.value {
                Value::Histogram(it) => {
                    assert_eq!(it.count, it.buckets.iter().sum::<u64>());
                    (count + it.count, sum + it.sum)
                }
                Value::Number(number) => (count + 1, sum + number),
                Value::Count(_) => panic!("{name}"),
            })
        };
        let close = |found: f64, expect: f64| (found - expect).abs() <= 1e-9 * expect.max(1e-9);
        let duration = sum("gen_ai.client.operation.duration", None);
        prop_assert_eq!(duration.0, calls.len() as u64);
        prop_assert!(close(duration.1, calls.iter().map(|it| it.0 as f64).sum::<f64>() / 1e3));
        for (kind, tokens) in [
            ("input", calls.iter().filter_map(|it| it.1).collect::<Vec<_>>()),
            ("output", calls.iter().filter_map(|it| it.2).collect()),
        ] {
            let found = sum("gen_ai.client.token.usage", Some(("gen_ai.token.type", kind)));
            prop_assert_eq!(found, (tokens.len() as u64, tokens.iter().sum::<u64>() as f64));
        }
        let cost = sum("agent_token_cost_total", None).1;
        prop_assert!(close(cost, dollars(calls.iter().filter_map(|it| it.3).sum())));
    }
}
