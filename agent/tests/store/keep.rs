//! What is kept, and for how long; who writes at the same time.

use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use trackway::sink::Sink;
use trackway::sink::store::Store as StoreSink;
use trackway::store::{Batch, Filter, Keep, State, Store, Swept, Writer};
use trackway_core::run::{Identity, Scope};
use trackway_core::telemetry::Content;

use crate::support::{Sample, content, folder, span, write};

/// As long as it takes.
const LONG: Duration = Duration::from_secs(600);
const DAY: u64 = 86_400_000_000_000;

fn agents(store: &Store) -> Vec<String> {
    let runs = store.runs(&Filter { limit: 1000, ..Filter::default() }).unwrap();
    runs.into_iter().map(|run| run.agent).collect()
}

#[test]
fn old_runs_go_and_their_days_stay() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    for number in 1..=40 {
        let sample = Sample::new(number, &format!("agent-{number}"));
        write(&mut writer, &sample, &sample.spans());
    }
    let open = Sample::new(0, "open");
    writer.write(Batch { birth: Some(&open.birth()), ..Batch::default() }).unwrap();
    let store = Store::open(&path).unwrap();
    let days = store.days(None).unwrap();
    assert_eq!(days.iter().filter(|day| day.model.is_empty()).map(|day| day.runs).sum::<u64>(), 40);
    assert_eq!(days.iter().filter(|day| day.model == "gpt-5-2026").map(|day| day.calls).sum::<u64>(), 40);

    let keep = Keep { days: 7, ..Keep::default() };
    assert_eq!(
        store.sweep(keep, Sample::new(31, "").start() + 7 * DAY, LONG).unwrap(),
        Swept { runs: 30, done: true }
    );
    assert_eq!(agents(&store).len(), 11, "ten, and the one that goes on");
    assert!(agents(&store).contains(&"open".to_owned()));
    assert_eq!(store.days(None).unwrap(), days);
    for table in ["spans", "said", "tags", "resources"] {
        let count: i64 = rusqlite::Connection::open(&path)
            .unwrap()
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        assert!(count > 0 && count <= 60, "{table}: {count}");
    }
    assert_eq!(store.check().unwrap(), "ok");
}

#[test]
fn conversations_with_traces_of_their_own_are_runs_of_their_own() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    let (server, one, two) = (Sample::new(1, "shop"), Sample::new(2, "one"), Sample::new(3, "two"));
    let (birth, own) = (server.birth(), server.spans());
    let (first, second) = (one.spans(), two.spans());
    let mut spans = vec![first[0].clone(), second[0].clone()];
    writer.write(Batch { birth: Some(&birth), spans: &spans, ..Batch::default() }).unwrap();
    spans = vec![first[1].clone(), first[2].clone(), own[2].clone()];
    let totals = server.totals();
    writer.write(Batch { spans: &spans, end: Some(&totals), ..Batch::default() }).unwrap();
    let store = Store::open(&path).unwrap();
    let runs = store.runs(&Filter { limit: 9, ..Filter::default() }).unwrap();
    let mut seen: Vec<_> =
        runs.iter().map(|run| (run.agent.as_str(), run.totals.llm_calls, run.state)).collect();
    seen.sort_by_key(|run| (run.0, run.1));
    // The calls of conversations are not counted a second time for the server itself; the one whose root has
    // not come goes on, and has the server's name so far.
    assert_eq!(seen, [("one", 1, State::Ok), ("shop", 0, State::Ok), ("shop", 1, State::Running)]);
}

#[test]
fn runs_in_one_trace_of_somebody_else_are_told_apart() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let sample = Sample::new(1, "agent");
    for _ in 0..2 {
        let mut writer = Writer::create(&path, Content::Full).unwrap();
        write(&mut writer, &sample, &sample.spans());
    }
    let store = Store::open(&path).unwrap();
    let runs = store.runs(&Filter { limit: 9, ..Filter::default() }).unwrap();
    let names: Vec<_> = runs.iter().map(|run| run.trace.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], format!("{}-2", names[1]));
}

#[test]
fn the_oldest_go_where_there_is_too_much() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    for number in 1..=20 {
        let sample = Sample::new(number, &format!("agent-{number}"));
        let text: String = (0..20_000).map(|word| format!("{}-{word} ", number)).collect();
        let big = span(&sample, 7, Some(1), vec![content("gen_ai.tool.call.result", &text)]);
        write(&mut writer, &sample, &[vec![big], sample.spans()].concat());
    }
    let store = Store::open(&path).unwrap();
    let keep = Keep { days: 7, bytes: store.used().unwrap() / 2 };
    let Swept { runs: gone, done } = store.sweep(keep, Sample::new(21, "").start(), LONG).unwrap();
    assert!(done);
    assert!((8..=14).contains(&gone), "{gone}");
    let left = agents(&store);
    assert_eq!(left.first().map(String::as_str), Some("agent-20"));
    assert_eq!(left.len() as u64, 20 - gone);
    assert!(store.used().unwrap() <= keep.bytes);
}

#[test]
fn many_write_at_once() {
    let folder = folder();
    let path = folder.path().join("new").join("runs.db");
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for lane in 0..4_u8 {
            let (path, barrier) = (&path, &barrier);
            scope.spawn(move || {
                barrier.wait();
                // All of them make the file.
                let mut writer = Writer::create(path, Content::Full).unwrap();
                for number in 0..20 {
                    let sample = Sample::new(lane * 20 + number, "agent");
                    write(&mut writer, &sample, &sample.spans());
                }
            });
        }
    });
    let store = Store::open(&path).unwrap();
    assert_eq!(agents(&store).len(), 80);
    assert_eq!(store.days(None).unwrap().iter().map(|day| day.calls).sum::<u64>(), 80);
    assert_eq!(store.check().unwrap(), "ok");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

fn identity(sample: &Sample) -> Identity {
    let birth = sample.birth();
    Identity {
        trace: birth.trace,
        name: birth.agent,
        command: birth.command,
        root: None,
        content: Content::Full,
        scope: Scope::Process,
        above: None,
        start: birth.start,
        resource: std::sync::Arc::default(),
    }
}

#[test]
fn the_sink_keeps_a_run() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let sample = Sample::new(1, "codex");
    // Kept for ever, so that the age of the sample says nothing.
    let keep = Keep { days: u32::MAX, ..Keep::default() };
    let mut sink = StoreSink::start(path.clone(), Content::Full, keep).unwrap();
    sink.begin(&identity(&sample));
    for span in sample.spans() {
        sink.write(&[span]);
    }
    assert_eq!(sink.finish(&sample.totals()), [""; 0]);
    let runs = Store::open(&path).unwrap().runs(&Filter { limit: 9, ..Filter::default() }).unwrap();
    assert_eq!((runs.len(), runs[0].state, runs[0].spans), (1, State::Ok, 3));
    assert_eq!(runs[0].totals, sample.totals());
}

#[test]
fn a_store_that_cannot_be_opened_costs_a_note() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let path = folder.path().join("file").join("runs.db");
    let sample = Sample::new(1, "codex");
    let mut sink = StoreSink::start(path, Content::Full, Keep::default()).unwrap();
    sink.begin(&identity(&sample));
    sink.write(&sample.spans());
    let notes = sink.finish(&sample.totals());
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("--store FILE"), "{notes:?}");
}
