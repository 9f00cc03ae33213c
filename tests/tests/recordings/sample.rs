//! Which recordings are served, and what has to change about them to travel.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use trackway_core::call::Completion;
use trackway_core::http::{Headers, RequestHead};
use trackway_tests::provider::chop::Random;
use trackway_tests::provider::coding::Coding;

use crate::replay::Replay;

/// Inference calls and their like.
const EXCHANGES: usize = 500;
/// What is nothing of the kind.
const NEGATIVES: usize = 40;
/// Fields of one hop (RFC 9110, section 7.6.1), which HTTP/2 forbids (RFC 9113, section 8.2.2), and fields
/// that say how a body is framed or encoded, which is done anew here.
const FRAMING: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
];

/// One recording, and how it travels.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    /// Provider and format that the recordings file it under.
    pub(crate) group: String,
    /// The exchange, decoded.
    pub(crate) replay: Replay,
    /// Whether in HTTP/2.
    pub(crate) second: bool,
    /// Coding of the answer.
    pub(crate) coding: Coding,
    /// Coding of the request.
    pub(crate) request_coding: Coding,
    /// The same exchange as its bodies travel.
    pub(crate) request: Bytes,
    pub(crate) response: Bytes,
    /// Decides every cut.
    pub(crate) seed: u64,
    /// Finds the exchange on both sides of the proxy and in the calls.
    pub(crate) traceparent: String,
    pub(crate) response_id: Option<String>,
}

/// What `expected.jsonl.gz` says of an exchange.
struct Known {
    group: String,
    response_id: Option<String>,
}

/// The folder of the recordings, where there is one.
pub(crate) fn folder() -> Option<PathBuf> {
    let asked = std::env::var_os("TRACKWAY_RECORDINGS").map(PathBuf::from);
    let required = asked.is_some() || std::env::var_os("CI").is_some();
    let folder =
        asked.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings"));
    let found = folder.join("exchanges.jsonl.gz").exists();
    assert!(found || !required, "no recordings in {}", folder.display());
    if !found {
        crate::say(&format!("SKIPPED: no recordings in {}", folder.display()));
    }
    found.then_some(folder)
}

/// The same sample every time.
pub(crate) fn choose(folder: &Path) -> Vec<Case> {
    let mut wanted = known(folder);
    let mut found = pick(&folder.join("exchanges.jsonl.gz"), |id| wanted.remove(id));
    assert!(wanted.is_empty(), "without an exchange: {:?}", wanted.keys());
    let mut negatives = NEGATIVES;
    found.extend(pick(&folder.join("negatives.jsonl.gz"), |_| {
        negatives = negatives.checked_sub(1)?;
        Some(Known { group: "none".to_owned(), response_id: None })
    }));
    // Ids are hashes: in their order, versions and codings meet every provider by chance.
    found.sort_by(|(one, _, _), (other, _, _)| one.cmp(other));
    let cases = found.into_iter().enumerate();
    cases.map(|(index, (id, known, exchange))| Case::new(index, id, known, &exchange)).collect()
}

/// Takes from every group in turns, until there are enough.
fn known(folder: &Path) -> HashMap<String, Known> {
    let mut groups: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for line in lines(&folder.join("expected.jsonl.gz")) {
        let answer: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        let id = answer["response_id"].as_str().map(str::to_owned);
        groups
            .entry(format!("{} {}", text("provider"), text("api_format")))
            .or_default()
            .insert(text("id"), id);
    }
    let mut wanted = HashMap::new();
    while wanted.len() < EXCHANGES && !groups.is_empty() {
        groups.retain(|group, members| {
            if let Some((id, response_id)) = members.pop_first().filter(|_| wanted.len() < EXCHANGES) {
                wanted.insert(id, Known { group: group.clone(), response_id });
            }
            !members.is_empty()
        });
    }
    wanted
}

/// Parses the lines whose id is wanted, and no others: the rest is eighty megabytes.
fn pick(file: &Path, mut wanted: impl FnMut(&str) -> Option<Known>) -> Vec<(String, Known, Value)> {
    let mut out = Vec::new();
    for line in lines(file) {
        let id = line.split_once("\"id\":").and_then(|(_, rest)| rest.split('"').nth(1)).unwrap_or_default();
        if let Some(known) = wanted(id) {
            out.push((id.to_owned(), known, serde_json::from_str(&line).unwrap()));
        }
    }
    out
}

fn lines(file: &Path) -> impl Iterator<Item = String> {
    let file = File::open(file).unwrap();
    BufReader::new(MultiGzDecoder::new(BufReader::new(file))).lines().map(Result::unwrap)
}

impl Case {
    fn new(index: usize, id: String, known: Known, exchange: &Value) -> Self {
        let seed = u64::from_str_radix(&id, 16).unwrap();
        let traceparent = format!("00-{seed:016x}{seed:016x}-{seed:016x}-01");
        let replay = tame(read(exchange), &traceparent);
        // Where nothing is sent there is nothing to encode.
        let coded = |bytes: &[u8], coding| if bytes.is_empty() { Coding::Identity } else { coding };
        let coding = coded(&replay.response, Coding::ALL[index / 2 % 4]);
        let request_coding = [Coding::Identity, Coding::Gzip, Coding::Identity, Coding::Zstd];
        let request_coding = coded(&replay.request, request_coding[index / 8 % 4]);
        let mut random = Random::new(seed);
        let request = request_coding.encode(&replay.request, &mut random).unwrap().into();
        let response = coding.encode(&replay.response, &mut random).unwrap().into();
        Self {
            id,
            group: known.group,
            replay,
            second: index % 2 == 1,
            coding,
            request_coding,
            request,
            response,
            seed,
            traceparent,
            response_id: known.response_id,
        }
    }

    /// `h1` or `h2`, with the answer's coding: what is counted.
    pub(crate) fn way(&self) -> (&'static str, Coding) {
        (if self.second { "h2" } else { "h1" }, self.coding)
    }

    /// The name for which TLS is spoken. An address cannot be one (RFC 6066, section 3).
    pub(crate) fn server_name(&self) -> &str {
        let name = self.replay.host.split(':').next().unwrap_or_default();
        if name.parse::<std::net::IpAddr>().is_ok() { "localhost" } else { name }
    }

    /// Request fields as they travel.
    pub(crate) fn request_headers(&self) -> Headers {
        encoded(&self.replay.head.headers, self.request_coding)
    }

    /// Response fields as they travel.
    pub(crate) fn response_headers(&self) -> Headers {
        encoded(&self.replay.headers, self.coding)
    }
}

fn encoded(headers: &Headers, coding: Coding) -> Headers {
    let field = coding.field().map(|coding| ("content-encoding".to_owned(), coding.to_owned()));
    headers.iter().cloned().chain(field).collect()
}

/// One line of the recordings.
fn read(exchange: &Value) -> Replay {
    let text = |key: &str| exchange[key].as_str().unwrap_or_default().to_owned();
    let headers = |side: &str| -> Headers {
        let fields = exchange[format!("{side}_headers")].as_object().unwrap().iter();
        fields.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let body = |side: &str| {
        let body = text(&format!("{side}_body"));
        let coded = exchange[format!("{side}_body_encoding")] == "base64";
        if coded { BASE64_STANDARD.decode(body).unwrap() } else { body.into_bytes() }
    };
    Replay {
        host: text("provider_host"),
        tls: exchange["scheme"] == "https",
        head: RequestHead {
            method: text("method"),
            target: text("path"),
            authority: None,
            version: "1.1",
            headers: headers("request"),
        },
        request: body("request"),
        status: exchange["status"].as_u64().unwrap().try_into().unwrap(),
        headers: headers("response"),
        response: body("response"),
        completion: Completion::Complete,
    }
}

/// Changes what cannot travel. The answer to compare with is decoded from the changed exchange, too.
fn tame(mut replay: Replay, traceparent: &str) -> Replay {
    // The sample is served over TLS, also what was recorded without.
    replay.tls = true;
    // Recorders put `<aws_region>` and the like where a secret was: no name of a host, and no URI.
    replay.host = replay.host.chars().filter(|c| !"<>".contains(*c)).collect::<String>().replace('_', "-");
    replay.head.authority = Some(replay.host.clone());
    replay.head.target = replay.head.target.replace('<', "%3C").replace('>', "%3E");
    let travels = |(name, _): &(String, String)| !FRAMING.contains(&name.as_str());
    replay.head.headers.retain(travels);
    replay.headers.retain(travels);
    replay.head.headers.push(("traceparent".to_owned(), traceparent.to_owned()));
    // RFC 9110, sections 9.3.2 and 15: no body can follow, so what a recorder put there never travelled.
    if replay.head.method == "HEAD" || matches!(replay.status, 204 | 304) {
        replay.response.clear();
    }
    replay
}
