//! What `trackway run` promises beyond the trace of one agent.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde_json::json;
use trackway_tests::clients::{CANARY, Client, OPENAI_KEY};
use trackway_tests::collector::{Mood, Protocol};
use trackway_tests::expect::{Expected, check};
use trackway_tests::job::Job;
use trackway_tests::namespace::BINARY;
use trackway_tests::provider::Behaviour;
use trackway_tests::provider::script::{Answer, Ask, usage};
use trackway_tests::spans::Spans;
use trackway_tests::trackway::Run;
use trackway_tests::world::{World, privileged};

const ARRIVAL: Duration = Duration::from_secs(10);
const NOBODY: [&str; 6] = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

fn hello(ask: &Ask) -> Answer {
    Answer::text(format!("Hello agent {}.", ask.agent), usage(ask))
}

async fn finished(world: &World) -> Result<Spans> {
    world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_are_twenty_traces() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let client = Client::PythonChat { asynchronous: true, stream: true, usage: true };
    let world = Arc::new(World::new(Behaviour::default()).await?);
    let runs: Vec<_> = (1..=20)
        .map(|agent| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.run(client, agent).await?.success() })
        })
        .collect();
    for run in runs {
        run.await??;
    }
    let spans = world.collector.wait_for(Duration::from_secs(30), |spans| spans.roots().len() == 20).await?;
    let traces = spans.traces();
    assert_eq!(traces.len(), 20);
    let served = world.provider.served();
    for agent in 1..=20 {
        let own: Vec<_> = served.iter().filter(|served| served.ask.agent == agent).cloned().collect();
        assert_eq!(own.len(), 3);
        let holds = |trace: &&Spans| trace.0.iter().any(|span| span.text("gen_ai.response.id") == own[0].id);
        let trace = traces.iter().find(holds).with_context(|| format!("no trace for agent {agent}"))?;
        let expected =
            Expected { agent: client.agent_name(), served: &own, plain: &[], usage: true, processes: true };
        check(trace, expected).with_context(|| format!("agent {agent}"))?;
    }
    Ok(())
}

/// Without root the client is told of a proxy; the trace is the same but for processes.
async fn without_root(client: Client) -> Result<()> {
    let world = World::with(Behaviour::default(), Protocol::Http, Mood::Open).await?;
    let job = Run::to(&world.collector).of(world.job(client, 4)?).under(NOBODY);
    let outcome = job.run(&world.namespace).await?.success()?;
    assert!(outcome.stdout.contains("notes.txt has three lines; missing-4.txt is not there."), "{outcome:?}");
    let spans = finished(&world).await?;
    let expected = Expected {
        agent: client.agent_name(),
        served: &world.provider.served(),
        plain: &world.provider.plain(),
        usage: client.has_usage(),
        processes: false,
    };
    check(&spans, expected)?;
    assert!(outcome.stderr.contains("root"), "nothing tells that root is missing: {}", outcome.stderr);
    Ok(())
}

macro_rules! rootless {
    ($($name:ident: $client:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            if !privileged() {
                return Ok(());
            }
            without_root($client).await
        }
    )*};
}

rootless! {
    without_root_openai: Client::PythonChat { asynchronous: true, stream: true, usage: true };
    without_root_anthropic: Client::Anthropic { asynchronous: false, stream: true };
    without_root_requests: Client::Requests;
    without_root_codex: Client::Codex { functions: false };
    without_root_opencode: Client::Opencode;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_root_plain_http_is_read() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let job = world.command(&["curl", "-sS", "-f", "http://tool.example/weather"])?;
    let outcome = Run::to(&world.collector).of(job).under(NOBODY).run(&world.namespace).await?.success()?;
    assert_eq!(outcome.stdout, r#"{"city":"Ulm","degrees":21}"#);
    assert_eq!(world.provider.plain()[0].path, "/weather");
    let spans = finished(&world).await?;
    let span =
        spans.0.iter().find(|span| span.text("url.path") == "/weather").with_context(|| spans.to_string())?;
    assert_eq!(span.text("url.full"), "http://tool.example/weather");
    Ok(())
}

/// One curl call for each way in which a connection can be made.
async fn call(words: &[&str], url: &str, version: &str) -> Result<()> {
    let world = World::new(Behaviour::default()).await?;
    let outcome = world.wrapped(world.command(words)?).await?.success()?;
    assert!(outcome.stdout.contains("Ulm") || outcome.stdout.contains("200"), "{outcome:?}");
    let spans = finished(&world).await?;
    let span = spans.0.iter().find(|span| span.text("url.full") == url).with_context(|| spans.to_string())?;
    assert_eq!(span.get("http.response.status_code"), &json!(200), "{spans}");
    assert_eq!(span.text("http.request.method"), "GET", "{spans}");
    assert_eq!(span.text("network.protocol.version"), version, "{spans}");
    assert!(span.resource["process.pid"].is_u64(), "{spans}");
    Ok(())
}

macro_rules! calls {
    ($($name:ident: $words:expr => $url:expr, $version:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            if !privileged() {
                return Ok(());
            }
            call(&$words, $url, $version).await
        }
    )*};
}

calls! {
    curl_http2: ["curl", "-sS", "-f", "https://tool.example/weather"] => "https://tool.example/weather", "2";
    curl_http1: ["curl", "-sS", "-f", "--http1.1", "https://tool.example/weather?city=Ulm"]
        => "https://tool.example/weather?city=Ulm", "1.1";
    curl_http10: ["curl", "-sS", "-f", "--http1.0", "http://tool.example/weather"]
        => "http://tool.example/weather", "1.0";
    curl_cleartext: ["curl", "-sS", "-f", "http://tool.example:11434/weather"]
        => "http://tool.example:11434/weather", "1.1";
    curl_ipv6: ["curl", "-sS", "-f", "https://six.example/weather"] => "https://six.example/weather", "2";
    mapped_address: ["python", "mapped.py", "203.0.113.10", "tool.example"] => "https://tool.example/weather", "1.1";
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_on_one_connection() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let url = "https://tool.example/weather?n=[1-200]";
    let job = world.command(&["curl", "-sS", "-f", "--parallel", "--parallel-max", "100", url])?;
    world.wrapped(job).await?.success()?;
    let spans = finished(&world).await?;
    for n in 1..=200 {
        let url = format!("https://tool.example/weather?n={n}");
        let own: Vec<_> = spans.0.iter().filter(|span| span.text("url.full") == url).collect();
        assert_eq!(own.len(), 1, "{url}\n{spans}");
        assert_eq!(own[0].get("http.response.status_code"), &json!(200), "{spans}");
    }
    assert!(world.provider.connections() < 20, "{}", world.provider.connections());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_context_is_added_only_where_the_operator_asks() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    for url in ["https://tool.example/weather", "http://tool.example/weather"] {
        for (options, expected) in [(&[][..], false), (&["--rewrite", "tool.example"][..], true)] {
            let world = World::new(Behaviour::default()).await?;
            let mut run = Run::to(&world.collector);
            for option in options {
                run = run.option(option);
            }
            let job = world.command(&["curl", "-sS", "-f", url])?;
            run.of(job).run(&world.namespace).await?.success()?;
            let spans = finished(&world).await?;
            let seen = world.provider.plain()[0].traceparent.clone();
            assert_eq!(seen.is_some(), expected, "{url} {options:?}\n{spans}");
            let trace: String = spans.0[0].trace.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(seen.is_none_or(|seen| seen.starts_with(&format!("00-{trace}-"))), "{trace}\n{spans}");
            let span = spans.0.iter().find(|span| span.text("url.full") == url);
            let span = span.with_context(|| spans.to_string())?;
            assert_eq!(span.get("http.response.status_code"), &json!(200), "{spans}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_to_a_model() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour { script: Arc::new(hello), ..Behaviour::default() }).await?;
    let body = r#"{"model":"gpt-mock","messages":[{"role":"user","content":"agent-4"}]}"#;
    let key = format!("authorization: Bearer {OPENAI_KEY}");
    let url = "https://api.openai.com/v1/chat/completions";
    let job = world.command(&["curl", "-sS", "-f", "-H", &key, "-d", body, url])?;
    let outcome = world.wrapped(job).await?.success()?;
    let spans = finished(&world).await?;
    let expected = Expected {
        agent: "curl",
        served: &world.provider.served(),
        plain: &[],
        usage: true,
        processes: false,
    };
    check(&spans, expected)?;
    // The key stood in the command line, which is part of the trace.
    assert!(!contains(&world.collector.bytes(), CANARY), "{spans}");
    assert!(!outcome.stderr.contains(CANARY), "{}", outcome.stderr);
    Ok(())
}

/// Two tools in one answer, one of which makes a request of its own.
#[tokio::test(flavor = "multi_thread")]
async fn tools_of_one_answer_and_their_requests() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let commands = ["curl -sS -f https://tool.example/weather", "wc -l notes.txt"];
    let script = move |ask: &Ask| match (ask.turn, ask.shell) {
        (0, Some(shell)) => Answer {
            tools: commands.map(|command| shell.call(command)).to_vec(),
            ..Answer::text("Both at once.", usage(ask))
        },
        _ => Answer::text("done", usage(ask)),
    };
    let world = World::new(Behaviour { script: Arc::new(script), ..Behaviour::default() }).await?;
    let client = Client::Anthropic { asynchronous: false, stream: true };
    world.run(client, 4).await?.success()?;
    let spans = finished(&world).await?;
    let expected = Expected {
        agent: client.agent_name(),
        served: &world.provider.served(),
        plain: &world.provider.plain(),
        usage: true,
        processes: false,
    };
    check(&spans, expected)?;
    for command in commands {
        let tools = spans.of("execute_tool");
        let tool = tools.iter().find(|tool| tool.text("gen_ai.tool.call.arguments").contains(command));
        let under = spans.under(tool.with_context(|| spans.to_string())?);
        let words: Vec<_> = command.split(' ').collect();
        assert!(
            under.iter().any(|span| span.get("process.command_args") == &json!(words)),
            "{command}\n{spans}"
        );
        let requests =
            under.iter().filter(|span| span.text("url.full") == "https://tool.example/weather").count();
        assert_eq!(requests, usize::from(command.starts_with("curl")), "{command}\n{spans}");
    }
    Ok(())
}

/// An agent that leaks its key wherever it can: into a tool's arguments, its result and a process's arguments.
#[tokio::test(flavor = "multi_thread")]
async fn keys_appear_nowhere() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let script = |ask: &Ask| match (ask.turn, ask.shell) {
        (0, Some(shell)) => {
            let command = format!("printenv OPENAI_API_KEY; true --token={OPENAI_KEY}; ls /{OPENAI_KEY}");
            Answer::command(format!("I use the key {OPENAI_KEY} now."), shell, &command, usage(ask))
        }
        _ => Answer::text("done", usage(ask)),
    };
    let world = World::new(Behaviour { script: Arc::new(script), ..Behaviour::default() }).await?;
    let job = world.job(Client::Requests, 4)?;
    let file = job.folder().join("trace.jsonl");
    let run = Run::to(&world.collector).option("--otlp-file").option(&file.to_string_lossy());
    let outcome = run.of(job).run(&world.namespace).await?.success()?;
    let spans = finished(&world).await?;
    assert!(spans.of("execute_tool")[0].text("gen_ai.tool.call.result").contains("exit"), "{spans}");
    let written = fs::read_to_string(&file)?;
    assert!(written.contains("execute_tool"), "{written}");
    for (output, bytes) in [
        ("collector", world.collector.bytes()),
        ("file", written.into_bytes()),
        ("terminal", outcome.stderr.clone().into_bytes()),
        ("terminal", outcome.stdout.clone().into_bytes()),
    ] {
        assert!(!contains(&bytes, CANARY), "{output}: {}", String::from_utf8_lossy(&bytes));
    }
    Ok(())
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_sent_only_where_it_was_asked_for() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    for (options, messages, arguments) in [
        (vec![], false, true),
        (vec!["--content", "none"], false, false),
        (vec!["--content", "full"], true, true),
    ] {
        let world = World::new(Behaviour::default()).await?;
        let mut run = Run::silent().option("--otlp").option(&world.collector.endpoint());
        for option in &options {
            run = run.option(option);
        }
        let outcome = run.of(world.job(Client::Requests, 4)?).run(&world.namespace).await?.success()?;
        let spans = finished(&world).await?;
        let has = |key: &str| spans.0.iter().any(|span| !span.get(key).is_null());
        for key in [
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "agent.decision_rationale",
        ] {
            assert_eq!(has(key), messages, "{options:?} {key}\n{spans}");
        }
        assert_eq!(has("process.command_args"), arguments, "{options:?}\n{spans}");
        assert_eq!(has("url.full"), arguments, "{options:?}\n{spans}");
        assert!(has("gen_ai.usage.input_tokens"), "{spans}");
        // The local output shows content unless it was asked not to.
        assert_eq!(
            outcome.stderr.contains("wc -l notes.txt"),
            options.get(1) != Some(&"none"),
            "{}",
            outcome.stderr
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_holds_what_the_collector_gets() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let job = world.job(Client::NodeResponses { stream: true }, 4)?;
    let file = job.folder().join("trace.jsonl");
    let run = Run::to(&world.collector).option("--otlp-file").option(&file.to_string_lossy());
    run.of(job).run(&world.namespace).await?.success()?;
    let spans = finished(&world).await?;
    let written = fs::read_to_string(&file)?;
    let requests: Result<Vec<_>, _> = written.lines().map(serde_json::from_str).collect();
    assert_eq!(Spans::new(&requests?).0, spans.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_equal_the_spans() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let world = World::with(Behaviour::default(), protocol, Mood::Open).await?;
        let client = Client::PythonChat { asynchronous: false, stream: true, usage: true };
        world.run(client, 4).await?.success()?;
        let spans = finished(&world).await?;
        let points = histograms(&world.collector.metrics());
        let chats = spans.of("chat");
        let of = |name: &str| points.iter().filter(|point| point.0 == name).collect::<Vec<_>>();
        let count = |name: &str| of(name).iter().map(|point| point.2).sum::<u64>();
        let sum = |name: &str| of(name).iter().map(|point| point.3).sum::<f64>();
        assert!(!chats.is_empty());
        assert_eq!(count("gen_ai.client.operation.duration"), chats.len() as u64, "{points:?}");
        let seconds: f64 = chats.iter().map(|chat| (chat.end - chat.start) as f64 / 1e9).sum();
        assert!((sum("gen_ai.client.operation.duration") - seconds).abs() < 1e-6, "{points:?}");
        for (kind, key) in [("input", "gen_ai.usage.input_tokens"), ("output", "gen_ai.usage.output_tokens")]
        {
            let told = of("gen_ai.client.token.usage");
            let told = told.iter().filter(|point| point.1 == kind).map(|point| point.3).sum::<f64>();
            let said: u64 = chats.iter().filter_map(|chat| chat.get(key).as_u64()).sum();
            assert!(said > 0 && (told - said as f64).abs() < 0.5, "{kind}: {told} and {said}");
        }
        assert_eq!(count("gen_ai.execute_tool.duration"), spans.of("execute_tool").len() as u64);
        assert_eq!(count("gen_ai.invoke_agent.duration"), 1);
        assert!((sum("gen_ai.invoke_agent.inference_calls") - chats.len() as f64).abs() < 0.5);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_collector_gets_the_names_and_sizes_that_it_wants() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let job = world.job(Client::PythonChat { asynchronous: false, stream: true, usage: true }, 4)?;
    let file = job.folder().join("trace.jsonl");
    let words = ["--semconv", "openinference,legacy", "--attribute-bytes", "256", "--otlp-file"];
    let run = words.into_iter().fold(Run::to(&world.collector), Run::option).option(&file.to_string_lossy());
    run.of(job).run(&world.namespace).await?.success()?;
    let spans = finished(&world).await?;
    let chats = spans.of("chat");
    let chat = chats.last().context("no chat")?;
    assert_eq!(chat.text("openinference.span.kind"), "LLM", "{chat:?}");
    assert_eq!(chat.text("gen_ai.system"), "openai");
    assert_eq!(chat.get("llm.token_count.prompt"), chat.get("gen_ai.usage.input_tokens"));
    assert_eq!(chat.text("llm.input_messages.1.message.role"), "user");
    assert_eq!(spans.roots()[0].text("openinference.span.kind"), "AGENT");
    let long = spans.0.iter().flat_map(|span| span.attributes.values()).filter_map(|value| value.as_str());
    assert!(long.clone().all(|text| text.len() <= 256), "{:?}", long.max_by_key(|text| text.len()));
    let said = chat.json("gen_ai.input.messages");
    assert!(said[0]["content"].is_null() && said[0]["parts"].is_array(), "{chat:?}");
    assert!(chat.get("trackway.truncated").to_string().contains("gen_ai.input.messages"), "{chat:?}");
    let written = fs::read_to_string(&file)?;
    assert!(
        !written.contains("openinference") && !written.contains("trackway.truncated"),
        "the file is as ever"
    );
    Ok(())
}

/// Name, type of token, count and sum of every point of a histogram.
fn histograms(requests: &[ExportMetricsServiceRequest]) -> Vec<(String, String, u64, f64)> {
    let groups = requests.iter().flat_map(|request| &request.resource_metrics);
    let metrics = groups.flat_map(|group| &group.scope_metrics).flat_map(|scope| &scope.metrics);
    let mut points = Vec::new();
    for metric in metrics {
        let Some(Data::Histogram(histogram)) = &metric.data else { continue };
        for point in &histogram.data_points {
            let kind = point.attributes.iter().find(|it| it.key == "gen_ai.token.type");
            let kind = kind.and_then(|it| it.value.as_ref()?.value.clone());
            let kind = if let Some(Any::StringValue(kind)) = kind { kind } else { String::new() };
            points.push((metric.name.clone(), kind, point.count, point.sum.unwrap_or(0.0)));
        }
    }
    points
}

/// Runs a shell script under Trackway without any output of its own.
async fn shell(world: &World, script: &str) -> Result<Job> {
    Ok(Run::silent().option("--quiet").of(world.command(&["sh", "-c", script])?))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_behaves_like_the_command() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    for (script, status) in
        [("exit 7", Ok(7)), ("kill -TERM $$", Err(15)), ("kill -KILL $$", Err(9)), ("true", Ok(0))]
    {
        let outcome = shell(&world, script).await?.run(&world.namespace).await?;
        assert_eq!(outcome.status, status, "{script}: {outcome:?}");
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""), "{script}");
    }
    let echo = shell(&world, "cat; echo no >&2; pwd; ls").await?;
    let folder = echo.folder().to_owned();
    let outcome = echo.input("from outside\n").run(&world.namespace).await?;
    assert!(outcome.stdout.starts_with(&format!("from outside\n{}\n", folder.display())), "{outcome:?}");
    assert!(outcome.stdout.contains("notes.txt"), "{outcome:?}");
    assert_eq!(outcome.stderr, "no\n");
    let missing = Run::silent().option("--quiet").of(world.command(&["no-such-program-here"])?);
    assert_eq!(missing.run(&world.namespace).await?.status, Ok(127));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_variables_are_added_to_the_environment() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let plain = world.command(&["env"])?.run(&world.namespace).await?.success()?;
    let job = Run::silent().option("--quiet").of(world.command(&["env"])?);
    let wrapped = job.run(&world.namespace).await?.success()?;
    let names = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect()
    };
    let before = names(&plain.stdout);
    let added: Vec<_> = names(&wrapped.stdout).into_iter().filter(|name| !before.contains(name)).collect();
    let trust =
        |name: &String| ["CA", "CERT", "JAVA_TOOL_OPTIONS", "SSL"].iter().any(|part| name.contains(part));
    assert!(added.iter().all(trust), "{added:?}");
    assert!(!added.is_empty(), "{added:?}");
    assert!(
        !wrapped.stdout.contains("REJECT_UNAUTHORIZED") && !wrapped.stdout.contains("VERIFY"),
        "{added:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_command() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let job =
        shell(&world, "trap 'echo got it; exit 5' TERM; touch ready; while :; do sleep 0.05; done").await?;
    let ready = job.folder().join("ready");
    let running = job.start(&world.namespace).await?;
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        while !ready.exists() {
            pause.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await?;
    running.signal(nix::sys::signal::Signal::SIGTERM)?;
    let outcome = running.end().await?;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Ok(5), "got it\n"), "{}", outcome.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_and_doctor_need_nothing() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    for user in [&NOBODY[..], &[]] {
        let demo = world.command(&[BINARY, "demo"])?.under(user.iter().copied());
        let outcome = demo.run(&world.namespace).await?.success()?;
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(told.contains("invoke_agent") && told.contains("trackway run"), "{told}");
        let doctor = world.command(&[BINARY, "doctor"])?.under(user.iter().copied());
        let outcome = doctor.run(&world.namespace).await?;
        assert!(outcome.status.is_ok() && outcome.stdout.lines().count() > 3, "{outcome:?}");
    }
    Ok(())
}
