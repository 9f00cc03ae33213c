//! Origins, clients and collectors that fail: the agent must see what it would have seen without Trackway,
//! and the trace must say what happened.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use trackway_tests::clients::Client;
use trackway_tests::collector::{Collector, Mood, Protocol};
use trackway_tests::namespace::ORIGIN;
use trackway_tests::provider::Behaviour;
use trackway_tests::provider::script::{Answer, Ask, Fault, usage};
use trackway_tests::spans::{Span, Spans};
use trackway_tests::trackway::Run;
use trackway_tests::world::{World, privileged};

const ARRIVAL: Duration = Duration::from_secs(10);
const STREAM: Client = Client::PythonChat { asynchronous: false, stream: true, usage: true };

fn scripted(script: impl Fn(&Ask) -> Answer + Send + Sync + 'static) -> Behaviour {
    Behaviour { script: Arc::new(script), ..Behaviour::default() }
}

fn hello(ask: &Ask) -> Answer {
    Answer::text(format!("Hello agent {}.", ask.agent), usage(ask))
}

async fn finished(world: &World) -> Result<Spans> {
    world.collector.wait_for(ARRIVAL, |spans| !spans.roots().is_empty()).await
}

/// The span of a connection that was not read.
fn unread<'a>(spans: &'a Spans, host: &str) -> Option<&'a Span> {
    let named =
        |span: &&Span| span.text("server.address") == host && !span.text("trackway.unread.reason").is_empty();
    spans.0.iter().find(named)
}

/// curl against a host that must fail with and without Trackway.
async fn refuses(host: &str, direct: i32, reason: &str) -> Result<()> {
    let world = World::new(Behaviour::default()).await?;
    let url = format!("https://{host}/weather");
    let words = ["curl", "--silent", "--show-error", "--max-time", "20", &url];
    let without = world.command(&words)?.run(&world.namespace).await?;
    assert_eq!(without.status, Ok(direct), "{without:?}");
    let with = world.wrapped(world.command(&words)?).await?;
    assert!(matches!(with.status, Ok(code) if code != 0), "{with:?}");
    assert!(with.time < Duration::from_secs(15), "{with:?}");
    let spans = finished(&world).await?;
    let span = unread(&spans, host).with_context(|| spans.to_string())?;
    assert!(span.text("trackway.unread.reason").starts_with(reason), "{spans}");
    assert!(span.error.is_some(), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_down() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    refuses("down.example", 7, "origin_failed").await
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_with_a_certificate_of_an_unknown_authority() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    refuses("untrusted.example", 60, "origin_untrusted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_with_an_expired_certificate() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    refuses("expired.example", 60, "origin_untrusted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_that_resets_in_the_middle_of_a_stream() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(scripted(|ask| hello(ask).with(Fault::Reset))).await?;
    let outcome = world.run(STREAM, 4).await?;
    assert_eq!(outcome.status, Ok(1), "{outcome:?}");
    assert!(outcome.stderr.contains("failed: "), "{outcome:?}");
    let spans = finished(&world).await?;
    let chats = spans.of("chat");
    assert_eq!(chats.len(), world.provider.served().len(), "{spans}");
    let chat = chats[0];
    assert_eq!(chat.text("trackway.completion"), "partial", "{spans}");
    assert!(chat.error.is_some() && chat.get("gen_ai.usage.input_tokens").is_null(), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_that_ends_a_stream_early() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(scripted(|ask| hello(ask).with(Fault::Cut))).await?;
    let outcome = world.run(STREAM, 4).await?;
    assert_eq!(outcome.status, Ok(0), "{outcome:?}");
    let spans = finished(&world).await?;
    let chat = *spans.of("chat").first().with_context(|| spans.to_string())?;
    assert_eq!(chat.text("trackway.completion"), "partial", "{spans}");
    assert!(chat.get("gen_ai.usage.input_tokens").is_null(), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn error_objects_and_retries() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    // The first answer is 429; the SDK tries again, and then the script goes on as usual.
    let first = std::sync::atomic::AtomicBool::new(true);
    let script = move |ask: &Ask| match first.swap(false, std::sync::atomic::Ordering::Relaxed) {
        true => hello(ask).with(Fault::Status(429)),
        false => hello(ask),
    };
    let world = World::new(scripted(script)).await?;
    world.run(STREAM, 4).await?.success()?;
    let spans = finished(&world).await?;
    let chats = spans.of("chat");
    assert_eq!(chats.len(), 2, "{spans}");
    assert_eq!(chats[0].get("http.response.status_code"), &json!(429), "{spans}");
    assert_eq!(chats[0].text("error.type"), "rate_limit_exceeded", "{spans}");
    assert!(chats[0].error.is_some() && chats[1].error.is_none(), "{spans}");
    assert_eq!(chats[1].get("http.request.resend_count"), &json!(1), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn error_inside_a_stream() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let client = Client::Anthropic { asynchronous: false, stream: true };
    let world = World::new(scripted(|ask| hello(ask).with(Fault::ErrorInStream))).await?;
    let outcome = world.run(client, 4).await?;
    assert_eq!(outcome.status, Ok(1), "{outcome:?}");
    let spans = finished(&world).await?;
    let chat = *spans.of("chat").first().with_context(|| spans.to_string())?;
    assert_eq!(chat.text("error.type"), "overloaded_error", "{spans}");
    assert!(chat.error.as_deref().is_some_and(|error| error.contains("on purpose")), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_goes_away_in_the_middle_of_a_stream() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let slow = |ask: &Ask| Answer { pace: Some(Duration::from_millis(200)), ..hello(ask) };
    let world = World::new(scripted(slow)).await?;
    let body = r#"{"model":"gpt-mock","stream":true,"messages":[{"role":"user","content":"agent-4"}]}"#;
    let words = ["curl", "-sS", "--max-time", "1", "-d", body, "https://api.openai.com/v1/chat/completions"];
    let outcome = world.wrapped(world.command(&words)?).await?;
    assert_eq!(outcome.status, Ok(28), "{outcome:?}");
    let spans = finished(&world).await?;
    let chat = *spans.of("chat").first().with_context(|| spans.to_string())?;
    assert_eq!(chat.text("trackway.completion"), "cancelled", "{spans}");
    assert_eq!(chat.text("gen_ai.response.id"), world.provider.served()[0].id, "{spans}");
    assert!(chat.error.is_some(), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_in_a_request() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(scripted(hello)).await?;
    let job = world.command(&["curl", "-sS", "-f", "--data-binary", "@body", "https://tool.example/echo"])?;
    let body: Vec<u8> = (0..10 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    fs::write(job.folder().join("body"), &body)?;
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    let outcome = world.wrapped(job).await?.success()?;
    let answer: serde_json::Value = serde_json::from_str(&outcome.stdout)?;
    assert_eq!(answer, json!({ "size": body.len(), "sum": sum }));
    let spans = finished(&world).await?;
    let span =
        spans.0.iter().find(|span| span.text("url.path") == "/echo").with_context(|| spans.to_string())?;
    assert_eq!(span.get("http.request.body.size"), &json!(body.len()), "{spans}");
    assert_eq!(span.get("http.response.status_code"), &json!(200), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_in_a_prompt() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(scripted(hello)).await?;
    let url = "https://api.openai.com/v1/chat/completions";
    let job =
        world.command(&["curl", "-sS", "-f", "-H", "content-type: application/json", "-d", "@body", url])?;
    let text = "lorem ipsum ".repeat((10 << 20) / 12);
    let body = json!({ "model": "gpt-mock", "messages": [{ "role": "user", "content": text }] });
    fs::write(job.folder().join("body"), body.to_string())?;
    world.wrapped(job).await?.success()?;
    let spans = finished(&world).await?;
    let chat = *spans.of("chat").first().with_context(|| spans.to_string())?;
    let served = &world.provider.served()[0];
    assert_eq!(chat.text("gen_ai.response.id"), served.id, "{spans}");
    assert_eq!(chat.get("gen_ai.usage.input_tokens"), &json!(served.answer.usage.input), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_at_once() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let paced = |ask: &Ask| Answer { pace: Some(Duration::from_millis(20)), ..hello(ask) };
    let world = World::new(scripted(paced)).await?;
    let outcome = world.wrapped(world.command(&["python", "many.py", "1000"])?).await?.success()?;
    assert_eq!(outcome.stdout, "1000 of 1000\n", "{}", outcome.stderr);
    let spans = world.collector.wait_for(Duration::from_secs(30), |spans| !spans.roots().is_empty()).await?;
    let served = world.provider.served();
    let chats = spans.of("chat");
    let root = spans.roots()[0];
    assert_eq!(chats.len(), 1000, "{root:?}\n{}", outcome.stderr);
    for one in served {
        let chat = chats.iter().find(|chat| chat.text("gen_ai.response.id") == one.id);
        let chat = chat.with_context(|| format!("no span for {}", one.id))?;
        assert_eq!(chat.get("gen_ai.usage.input_tokens"), &json!(one.answer.usage.input));
        assert!(chat.text("gen_ai.output.messages").contains(&one.answer.text), "{chat:?}");
    }
    Ok(())
}

/// Runs an agent whose collector does not work; it must not notice, and the user must be told.
async fn without_collector(mood: Option<Mood>, protocol: Protocol) -> Result<()> {
    let world = World::new(Behaviour::default()).await?;
    let broken = match mood {
        Some(mood) => Some(Collector::new(&world.namespace, protocol, mood).await?),
        None => None,
    };
    let endpoint = broken.as_ref().map_or_else(|| "http://127.0.0.1:9".to_owned(), Collector::endpoint);
    let ended = world.namespace.folder().join("ended");
    let script = format!("\"$@\"; code=$?; date +%s.%N > {}; exit $code", ended.display());
    let job = world.job(STREAM, 4)?.under(["sh", "-c", &script, "sh"]);
    let job = Run::silent().option("--otlp").option(&endpoint).of(job);
    let begun = std::time::SystemTime::now();
    let outcome =
        job.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name()).run(&world.namespace).await?.success()?;
    let agent = fs::metadata(&ended)?.modified()?.duration_since(begun)?;
    assert!(agent < Duration::from_secs(15), "the agent took {agent:?}");
    assert!(outcome.time < agent + Duration::from_secs(15), "the end took {:?}", outcome.time - agent);
    let told = outcome.stderr.to_lowercase();
    assert!(told.contains("not delivered") || told.contains("undelivered"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("notes.txt has three lines"), "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_down() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    without_collector(None, Protocol::Grpc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_hanging() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    without_collector(Some(Mood::Hanging), Protocol::Http).await
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_refusing() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    without_collector(Some(Mood::Refusing), Protocol::Grpc).await
}

/// Waits until the log of `steady.py` has `count` more good lines than `after` lines.
async fn successes(log: &std::path::Path, after: usize, count: usize) -> Result<()> {
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    let wait = async {
        loop {
            pause.tick().await;
            let text = fs::read_to_string(log).unwrap_or_default();
            if text.lines().skip(after).filter(|line| *line == "200").count() >= count {
                return;
            }
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(30), wait).await;
    outcome.with_context(|| fs::read_to_string(log).unwrap_or_default())
}

/// The agent outlives its observer: its next connections go direct and verify, and nothing stays behind.
async fn killed(user: &[&str]) -> Result<()> {
    let world = World::new(Behaviour::default()).await?;
    let job = world.command(&["python", "steady.py", "log", "stop"])?;
    let (log, stop) = (job.folder().join("log"), job.folder().join("stop"));
    let temporary = job.folder().join("tmp");
    let running =
        Run::to(&world.collector).of(job).under(user.iter().copied()).start(&world.namespace).await?;
    successes(&log, 1, 3).await?;
    running.signal(Signal::SIGKILL)?;
    let lines = fs::read_to_string(&log)?.lines().count();
    // One request may have been under way.
    successes(&log, lines + 1, 5).await?;
    fs::write(&stop, "")?;
    let outcome = running.end().await?;
    assert_eq!(outcome.status, Err(Signal::SIGKILL as i32));
    let text = fs::read_to_string(&log)?;
    let failures = text.lines().skip(lines + 1).filter(|line| *line != "200").count();
    assert_eq!(failures, 0, "{text}");
    let cgroup =
        text.lines().next().and_then(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    let mut left = String::new();
    for _ in 0..100 {
        pause.tick().await;
        let folder =
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| std::path::Path::new(root).join(&cgroup));
        let group = cgroup.contains("trackway") && folder.iter().any(|folder| folder.exists());
        let files = world.namespace.list("/run").await?;
        let more = fs::read_dir(&temporary)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect::<Vec<_>>();
        left = format!("cgroup {cgroup}: {group}, /run: {files:?}, temporary: {more:?}");
        if !group && files.is_empty() && more.is_empty() {
            return Ok(());
        }
    }
    anyhow::bail!("left behind: {left}")
}

#[tokio::test(flavor = "multi_thread")]
async fn trackway_killed() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    killed(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn trackway_killed_without_root() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    killed(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_speaks_first() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let listener = world.namespace.listen(SocketAddr::new(ORIGIN, 6379)).await?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"+HELLO 7.2\r\n").await?;
            let (reader, mut writer) = stream.split();
            let mut reader = BufReader::new(reader);
            let mut line = String::new();
            reader.read_line(&mut line).await?;
            writer.write_all(b"+PONG\r\n").await?;
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await?;
            writer.write_all(b"+BYE\r\n").await?;
        }
        anyhow::Ok(())
    });
    let outcome = world
        .wrapped(world.command(&["python", "listener.py", "redis.example", "6379"])?)
        .await?
        .success()?;
    assert_eq!(outcome.stdout, "+HELLO 7.2\ngreeted quickly\n+PONG\n+BYE\n");
    let spans = finished(&world).await?;
    let span = spans
        .0
        .iter()
        .find(|span| span.get("server.port") == &json!(6379))
        .with_context(|| spans.to_string())?;
    assert_eq!(span.text("trackway.unread.reason"), "opaque", "{spans}");
    assert_eq!(span.get("trackway.unread.bytes_sent"), &json!(6), "{spans}");
    assert_eq!(span.get("trackway.unread.bytes_received"), &json!(12 + 7 + 6), "{spans}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_accepts_one_authority_only() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let world = World::new(Behaviour::default()).await?;
    let root = world.namespace.folder().join("certs/mock-provider.pem");
    let job = world.command(&["python", "pinned.py", &root.to_string_lossy()])?;
    let outcome = world.wrapped(job).await?.success()?;
    assert!(outcome.stdout.ends_with("200\n"), "{outcome:?}");
    // The next attempt may come before the refusal was read.
    assert!(outcome.stdout.lines().count() <= 3, "{outcome:?}");
    let spans = finished(&world).await?;
    let reasons: Vec<_> = spans
        .0
        .iter()
        .filter(|span| span.text("server.address") == "pinned.example")
        .map(|span| span.text("trackway.unread.reason").to_owned())
        .collect();
    assert!(reasons.iter().any(|reason| reason.starts_with("client_refused")), "{spans}");
    // The tap may be quicker than the next attempt: then it has read it.
    let tapped =
        |span: &&Span| span.text("url.path") == "/weather" && span.text("trackway.capture.plane") == "tap";
    if spans.0.iter().find(tapped).is_none() {
        let last = spans.0.iter().rfind(|span| span.text("trackway.unread.reason") == "refused_before");
        let received =
            last.map(|span| span.get("trackway.unread.bytes_received").as_u64().unwrap_or_default());
        assert!(received.is_some_and(|bytes| bytes > 500), "{spans}");
    }
    assert!(outcome.stderr.contains("pinned.example"), "the terminal does not name it: {}", outcome.stderr);
    Ok(())
}
