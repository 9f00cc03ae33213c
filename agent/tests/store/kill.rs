//! SIGKILL in the middle of writing, again and again. The writer is this very binary, started again to run `child`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trackway::sink::Sink;
use trackway::sink::store::Store as StoreSink;
use trackway::store::{Batch, Filter, Keep, Pick, State, Store, Writer};
use trackway_core::flow::Time;
use trackway_core::run::{Identity, Scope};
use trackway_core::telemetry::{Content, SpanId, TraceId};

use crate::support::{Sample, content, folder, span};

const TASK: &str = "TRACKWAY_STORE_TEST";
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (task, path) = task.split_once(' ').unwrap();
    match task {
        "write" => write_for_ever(Path::new(path)),
        "sink" => sink_for_ever(Path::new(path)),
        other => panic!("no such task: {other}"),
    }
}

/// Writes runs of many batches and says what has been committed.
fn write_for_ever(path: &Path) {
    let mut writer = Writer::create(path, Content::Full).unwrap();
    for number in 0_u64.. {
        let sample = Sample::new(1, "writer");
        let trace = TraceId::derive(&[&std::process::id().to_le_bytes(), &number.to_le_bytes()]);
        let birth = trackway::store::Birth { trace, ..sample.birth() };
        writer.write(Batch { birth: Some(&birth), ..Batch::default() }).unwrap();
        let mut stored = 0;
        for batch in 0..8_u64 {
            let words = |place: u64| format!("{number} {batch} {place} {}", "lorem ipsum dolor ".repeat(200));
            let spans: Vec<_> = (0..6)
                .map(|place| {
                    let mut span =
                        span(&sample, 9, Some(1), vec![content("gen_ai.tool.call.result", &words(place))]);
                    span.trace = trace;
                    span.id = SpanId::derive(trace, &[&batch.to_le_bytes(), &place.to_le_bytes()]);
                    span
                })
                .collect();
            writer.write(Batch { spans: &spans, ..Batch::default() }).unwrap();
            stored += spans.len();
            println!("stored {trace} {stored}");
        }
        writer.write(Batch { end: Some(&sample.totals()), ..Batch::default() }).unwrap();
    }
}

/// Gives spans to the sink and never ends the run.
fn sink_for_ever(path: &Path) {
    let keep = Keep { days: u32::MAX, ..Keep::default() };
    let mut sink = StoreSink::start(path.to_owned(), Content::Full, keep).unwrap();
    let sample = Sample::new(1, "sink");
    sink.begin(&Identity {
        trace: sample.trace(),
        name: "sink".to_owned(),
        command: vec!["sink".to_owned()],
        root: None,
        content: Content::Full,
        scope: Scope::Process,
        above: None,
        start: Time(sample.start()),
        resource: std::sync::Arc::default(),
    });
    sink.write(&sample.spans()[..2]);
    println!("stored");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn start(task: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{task} {}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn killed_fifty_times_and_nothing_is_corrupt() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut promised: HashMap<String, u64> = HashMap::new();
    let mut chance = 7_u64;
    for round in 0..50_u64 {
        let mut child = start("write", &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Chance decides how much is written, and, by work that takes no fixed time, where in a transaction it ends.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut left = 1 + (chance >> 33) % 25;
        while left > 0 {
            let line = lines.next().expect("the writer goes on").unwrap();
            left -= u64::from(promise(&line, &mut promised));
        }
        let mut idle = 0_u64;
        for step in 0..(chance >> 40) % 400_000 {
            idle = std::hint::black_box(idle ^ step);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it was killed counts too.
        for line in lines.map_while(Result::ok) {
            promise(&line, &mut promised);
        }

        let store = Store::open(&path).unwrap();
        assert_eq!(store.check().unwrap(), "ok", "round {round}");
        let runs = store.runs(&Filter { limit: usize::MAX, ..Filter::default() }).unwrap();
        let stored: HashMap<String, u64> = runs.iter().map(|run| (run.trace.clone(), run.spans)).collect();
        for (trace, spans) in &promised {
            assert!(stored.get(trace).is_some_and(|stored| stored >= spans), "round {round}: {trace}");
        }
        assert!(runs.iter().all(|run| matches!(run.state, State::Lost)), "nobody writes any more");
    }
    assert!(promised.len() >= 50);
}

/// Notes what the writer says was committed; whether the line says so.
fn promise(line: &str, promised: &mut HashMap<String, u64>) -> bool {
    // The test harness of the child prints on the same stream.
    let Some((_, rest)) = line.split_once("stored ") else { return false };
    let Some((trace, spans)) = rest.split_once(' ') else { return false };
    let Ok(spans) = spans.parse() else { return false };
    promised.insert(trace.to_owned(), spans);
    true
}

#[test]
fn the_sink_commits_while_the_run_goes_on() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut child = start("sink", &path);
    let begun = Instant::now();
    let state = || {
        let store = Store::open(&path).ok()?;
        match store.pick("last").ok()? {
            Pick::One(run) => Some((run.state, run.spans)),
            _ => None,
        }
    };
    while state() != Some((State::Running, 2)) {
        assert!(begun.elapsed() < PATIENCE, "nothing was committed: {:?}", state());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(state(), Some((State::Lost, 2)));
    let days = Store::open(&path).unwrap().days(None).unwrap();
    assert_eq!(days.iter().map(|day| day.failed).max(), Some(1), "a lost run counts in its day");
    assert_eq!(days.iter().map(|day| day.calls).sum::<u64>(), 1);
}
