//! Recorded traffic of many providers through the real proxy: over TLS, in both versions of HTTP, in every content
//! coding, cut anywhere, several exchanges on a connection and several connections at once. What the
//! tap's reader understands must be what the decoders understand of the recording itself.
//!
//! The recordings lie beside the repository and are not part of it. Without them this test says so and passes,
//! unless `TRACKWAY_RECORDINGS` says where they are, or `CI` that nothing may be skipped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "recordings/client.rs"]
mod client;
#[path = "recordings/recorder.rs"]
mod recorder;
#[path = "../../agent/core/tests/support/replay.rs"]
mod replay;
#[path = "recordings/sample.rs"]
mod sample;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use trackway_core::call::{Call, Http};
use trackway_proxy::tap::{self, Losses};
use trackway_proxy::{Client as Known, Config, Mode, Proxy, Resolve};
use trackway_tests::authority::Authority;
use trackway_tests::provider::coding::Coding;
use trackway_tests::provider::recorded::{self, Recorded};

use client::Client;
use recorder::{Recorder, Seen};
use sample::Case;

/// Longer than a busy machine takes; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// Exchanges on one connection.
const TOGETHER: usize = 8;
/// Connections at once.
const AT_ONCE: usize = 12;
/// Room in the tap for everything that passes, so that a slow reader loses nothing here.
const TAP: (usize, usize) = (1 << 17, 256 << 20);
/// Every version and coding is compared at least this often.
const LEAST: usize = 40;

/// Nobody knows who connects, and the client says where it goes.
struct Unknown;

impl Resolve for Unknown {
    fn resolve(&self, _peer: SocketAddr, _local: SocketAddr) -> Known {
        Known::default()
    }
}

/// Passed tests say nothing, unless they write past the harness.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_mean_the_same_through_the_proxy() {
    let Some(folder) = sample::folder() else { return };
    let started = Instant::now();
    let cases: Vec<Arc<Case>> = sample::choose(&folder).into_iter().map(Arc::new).collect();
    let chosen = started.elapsed();
    let connections = plan(&cases);
    let count = connections.len();
    let seen =
        tokio::time::timeout(PATIENCE, Box::pin(travel(&cases, connections))).await.expect("took too long");
    let travelled = started.elapsed() - chosen;
    compare(&cases, &seen);
    let (calls, slices, bytes) = (seen.calls.len(), seen.slices, seen.bytes);
    say(&format!(
        "{calls} exchanges on {count} connections, {bytes} bytes in {slices} slices: chosen in {chosen:.1?}, \
         travelled in {travelled:.1?}, {:.1?} in all",
        started.elapsed()
    ));
    assert_eq!(seen.flows.len(), count);
}

/// Puts exchanges on connections: of one host, of one version, and none that answers with the same response
/// twice, because the reader of a connection remembers which responses it has counted.
fn plan(cases: &[Arc<Case>]) -> Vec<Vec<Arc<Case>>> {
    let mut places: BTreeMap<(bool, &str), Vec<Vec<Arc<Case>>>> = BTreeMap::new();
    for case in cases {
        let connections = places.entry((case.second, &case.replay.host)).or_default();
        let fits = |connection: &&mut Vec<Arc<Case>>| {
            let same = |other: &Arc<Case>| other.response_id == case.response_id;
            connection.len() < TOGETHER && (case.response_id.is_none() || !connection.iter().any(same))
        };
        match connections.iter_mut().find(fits) {
            Some(connection) => connection.push(Arc::clone(case)),
            None => connections.push(vec![Arc::clone(case)]),
        }
    }
    places.into_values().flatten().collect()
}

/// Serves the sample and asks for it, through a proxy that reads along.
async fn travel(cases: &[Arc<Case>], connections: Vec<Vec<Arc<Case>>>) -> Seen {
    let origins = Authority::new().unwrap();
    let root = CertificateDer::from_pem_slice(origins.root().as_bytes()).unwrap();
    let origin = recorded::serve(origins, answers(cases)).await.unwrap();

    let authority = Arc::new(trackway_proxy::authority::Authority::new(&[]).unwrap());
    let (tap, feed) = tap::channel(TAP.0, TAP.1);
    let proxy = Proxy::new(Config {
        authority: Some(Arc::clone(&authority)),
        system_roots: false,
        roots: vec![root],
        tap: Some(tap),
        lead: Some(Arc::new(move |_, _, _| Some(origin))),
        ..Config::default()
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Arc::new(Client::new(listener.local_addr().unwrap(), authority.ca_der()));
    let (stop, stopped) = watch::channel(false);
    let serving = proxy.clone();
    let serving =
        tokio::spawn(
            async move { serving.serve(listener, Mode::Explicit, Arc::new(Unknown), stopped).await },
        );
    let recorder = Recorder::start(feed);

    let count = connections.len() as u64;
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    for connection in connections {
        let (client, permits) = (Arc::clone(&client), Arc::clone(&permits));
        clients.spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            client.exchange(&connection).await;
        });
    }
    clients.join_all().await;
    // When the proxy has served, it has told the tap everything.
    stop.send(true).unwrap();
    serving.await.unwrap();
    let counters = proxy.counters();
    assert_eq!((counters.intercepted, counters.ended), (count, count), "{counters:?}");
    recorder.finish()
}

fn answers(cases: &[Arc<Case>]) -> HashMap<String, Recorded> {
    let answer = |case: &Arc<Case>| Recorded {
        request: case.request.clone(),
        status: case.replay.status,
        headers: case.response_headers(),
        body: case.response.clone(),
        seed: case.seed,
    };
    cases.iter().map(|case| (case.traceparent.clone(), answer(case))).collect()
}

fn compare(cases: &[Arc<Case>], seen: &Seen) {
    assert_eq!(seen.losses, Losses::default());
    assert!(seen.unread.is_empty(), "{:?}", seen.unread);
    assert_eq!(seen.open, 0, "connections without an end");
    let mut calls: HashMap<&str, &Call> = HashMap::new();
    for call in &seen.calls {
        let name = call.http.traceparent.as_deref().unwrap_or_default();
        assert!(calls.insert(name, call).is_none(), "twice: {name}");
    }
    let mut compared: BTreeMap<(&str, Coding), usize> = BTreeMap::new();
    let mut requests: BTreeMap<Coding, usize> = BTreeMap::new();
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differing = Vec::new();
    for case in cases {
        let call = calls.remove(case.traceparent.as_str());
        *compared.entry(case.way()).or_default() += 1;
        *requests.entry(case.request_coding).or_default() += 1;
        *groups.entry(&case.group).or_default() += 1;
        let Some(difference) = difference(case, call) else { continue };
        let (version, coding) = case.way();
        differing.push(format!("{} {} {version} {coding}: {difference}", case.id, case.group));
    }
    let words = |((version, coding), count): (&(&str, Coding), &usize)| format!("{version} {coding} {count}");
    say(&format!("compared: {}", compared.iter().map(words).collect::<Vec<_>>().join(", ")));
    let words = |(coding, count): (&Coding, &usize)| format!("{coding} {count}");
    say(&format!("requests: {}", requests.iter().map(words).collect::<Vec<_>>().join(", ")));
    say(&format!("of {} pairs of provider and format", groups.len()));
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    assert!(calls.is_empty(), "nobody asked for {:?}", calls.keys());
    for version in ["h1", "h2"] {
        for coding in Coding::ALL {
            let count = compared.get(&(version, coding)).copied().unwrap_or_default();
            assert!(count >= LEAST, "{version} {coding}: only {count}");
        }
    }
    for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
        assert!(requests.get(&coding).is_some_and(|count| *count >= LEAST), "requests in {coding}");
    }
}

/// What of the call is not as in the recording, if anything. Times are those of this run.
fn difference(case: &Case, call: Option<&Call>) -> Option<String> {
    let Some(call) = call else { return Some("no call".to_owned()) };
    let mut direct = case.replay.clone().run(0);
    assert_eq!(direct.len(), 1, "{}", case.id);
    let direct = direct.pop()?;
    let http = Http {
        version: if case.second { "2" } else { "1.1" },
        request_bytes: case.request.len() as u64,
        response_bytes: case.response.len() as u64,
        ..direct.http
    };
    let pairs = [
        (format!("{http:?}"), format!("{:?}", call.http)),
        (format!("{:?}", direct.completion), format!("{:?}", call.completion)),
        (format!("{:?}", direct.faults), format!("{:?}", call.faults)),
        (format!("{:?}", direct.first_chunk.is_some()), format!("{:?}", call.first_chunk.is_some())),
        (format!("{:?}", direct.kind), format!("{:?}", call.kind)),
    ];
    pairs.iter().find(|(want, got)| want != got).map(|(want, got)| {
        let same = want.bytes().zip(got.bytes()).take_while(|(one, other)| one == other).count();
        let near = |text: &str| {
            let bytes = text.as_bytes();
            let range = same.saturating_sub(60)..(same + 100).min(bytes.len());
            String::from_utf8_lossy(&bytes[range]).into_owned()
        };
        format!("want …{}… got …{}…", near(want), near(got))
    })
}
