//! The verbs, as they are typed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use trackway::store::Writer;
use trackway_core::telemetry::Content;

use crate::support::{Sample, folder, write};

fn trackway(store: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackway"));
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if ["OTEL_", "_PROXY", "CERT", "CA_BUNDLE", "JAVA_TOOL"].iter().any(|part| upper.contains(part)) {
            command.env_remove(name);
        }
    }
    command.env("TRACKWAY_STORE", store).env("COLUMNS", "140").env("TZ", "UTC");
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A store with some runs of long ago.
fn store(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("runs.db");
    let mut writer = Writer::create(&path, Content::Full).unwrap();
    for number in [0x11, 0x12, 0x21] {
        let mut sample = Sample::new(number, &format!("agent-{number:x}"));
        sample.exit = i64::from(number == 0x12);
        write(&mut writer, &sample, &sample.spans());
    }
    path
}

#[test]
fn runs_lists_and_filters() {
    let folder = folder();
    let path = store(folder.path());
    let all = trackway(&path, &["runs"]);
    let text = said(&all);
    assert!(all.status.success(), "{text}");
    assert!(text.starts_with("when"), "{text}");
    assert!(text.contains("2026-09-21 14:46  21212121  agent-21  ok"), "{text}");
    assert!(text.contains("error 1") && text.contains("Fix the tests of agent 33"), "{text}");
    let failed = trackway(&path, &["runs", "--failed", "--json", "--tool", "bash", "--text", "fix tests"]);
    let runs = lines(&failed);
    assert_eq!(runs.len(), 1, "{}", said(&failed));
    assert_eq!((&runs[0]["agent"], &runs[0]["exit_code"]), (&"agent-12".into(), &1.into()));
    assert_eq!(runs[0]["cost_usd"], 0.5);
    assert_eq!(lines(&trackway(&path, &["runs", "--json", "--since", "2h"])).len(), 0);
    assert_eq!(lines(&trackway(&path, &["runs", "--json", "--until", "2026-09-21"])).len(), 3);
    assert_eq!(lines(&trackway(&path, &["runs", "--json", "--since", "2026-09-21 14:40"])).len(), 1);
    let none = trackway(&path, &["runs", "--agent", "nobody"]);
    assert_eq!(none.status.code(), Some(0), "{}", said(&none));
    for wrong in [["runs", "--since", "soon"], ["runs", "--text", "--"], ["runs", "--status", "odd"]] {
        assert_eq!(trackway(&path, &wrong).status.code(), Some(2), "{wrong:?}");
    }
    let days = said(&trackway(&path, &["runs", "--days"]));
    assert!(days.contains("2026-09-21  agent-12     1       1      1"), "{days}");
}

#[test]
fn show_prints_the_tree_and_its_spans() {
    let folder = folder();
    let path = store(folder.path());
    let tree = said(&trackway(&path, &["show", "last"]));
    assert!(tree.starts_with("run 21212121212121212121212121212121 · 2026-09-21 14:46:20 · ok\n"), "{tree}");
    assert!(tree.contains("├─ chat gpt-5-2026  in 10 out 5  $0.5000"), "{tree}");
    assert!(tree.contains("─ bash {\"command\":\"make check\"}"), "{tree}");
    assert!(!said(&trackway(&path, &["show", "--content", "metadata"])).contains("make check"));
    let several = trackway(&path, &["show", "1"]);
    assert_eq!(several.status.code(), Some(1));
    assert!(said(&several).contains("2 runs begin with 1"), "{}", said(&several));
    let unknown = trackway(&path, &["show", "ffff"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("trackway runs lists them"), "{}", said(&unknown));

    let ids = said(&trackway(&path, &["show", "21", "--ids"]));
    assert!(ids.contains("  02020202\n"), "{ids}");
    let one = said(&trackway(&path, &["show", "21", "--span", "0202"]));
    assert!(
        one.contains("gen_ai.response.model gpt-5-2026") && one.contains("Fix the tests of agent 33"),
        "{one}"
    );
    let spans = lines(&trackway(&path, &["show", "21", "--json"]));
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[0]["attributes"]["user.id"], "ada");
    assert_eq!(spans[2]["parent"], Value::Null);
    let bare = lines(&trackway(&path, &["show", "21", "--json", "--content", "none"]));
    assert_eq!(bare[0]["attributes"]["user.id"], Value::Null);
}

#[test]
fn find_exits_as_grep_does() {
    let folder = folder();
    let path = store(folder.path());
    let hits = trackway(&path, &["find", "fix", "tests"]);
    assert_eq!(hits.status.code(), Some(0));
    assert!(said(&hits).contains("[Fix] the [tests] of agent 33"), "{}", said(&hits));
    let hits = lines(&trackway(&path, &["find", "--json", "--run", "11", "\"make check\""]));
    assert_eq!((hits.len(), &hits[0]["in"]), (1, &"arguments".into()));
    assert_eq!(hits[0]["snippet"], "command: **make check**");
    assert_eq!(trackway(&path, &["find", "elephant"]).status.code(), Some(1));
    assert_eq!(trackway(&path, &["find", "--", "--force"]).status.code(), Some(1));
    let none = trackway(&folder.path().join("no.db"), &["find", "x"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(said(&none).contains("no run is stored"), "{}", said(&none));
}

#[test]
fn a_run_is_kept_and_its_export_is_read_again() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let file = folder.path().join("trace.jsonl");
    let demo = trackway(&path, &["demo", "--explicit"]);
    assert!(demo.status.success(), "{}", said(&demo));
    let run = lines(&trackway(&path, &["runs", "--json"])).remove(0);
    assert_eq!((&run["status"], &run["llm_calls"], &run["tool_calls"]), (&"ok".into(), &3.into(), &2.into()));
    assert_eq!(run["input_tokens"], 454);

    // The same tree as at the end of the run.
    let shown = said(&trackway(&path, &["show", "last"]));
    let (head, tree) = shown.split_once('\n').unwrap();
    assert!(head.contains(run["trace"].as_str().unwrap()), "{head}");
    assert!(said(&demo).contains(tree.trim_end()), "{shown}\n---\n{}", said(&demo));

    let export = trackway(&path, &["export", "last", "-o", file.to_str().unwrap()]);
    assert!(export.status.success(), "{}", said(&export));
    let line = std::fs::read_to_string(&file).unwrap();
    let requests: Vec<opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest> =
        line.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let groups = requests.iter().flat_map(|request| &request.resource_spans);
    let spans: usize = groups.flat_map(|group| &group.scope_spans).map(|scope| scope.spans.len()).sum();
    assert_eq!(Some(spans as u64), run["spans"].as_u64());

    let har = folder.path().join("run.har");
    assert!(trackway(&path, &["export", "last", "--har", "-o", har.to_str().unwrap()]).status.success());
    let archive: Value = serde_json::from_str(&std::fs::read_to_string(&har).unwrap()).unwrap();
    let entries = archive["log"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["response"]["status"], 200);
    assert!(entries[0]["request"]["url"].as_str().unwrap().starts_with("https://api.openai.com"));
    assert!(entries[0]["request"]["postData"]["comment"].as_str().unwrap().starts_with("rebuilt"));
    let read = trackway(&path, &["decode", "--all", har.to_str().unwrap()]);
    assert!(read.status.success() && said(&read).contains("api.openai.com"), "{}", said(&read));
}

#[test]
fn a_run_can_be_left_out_and_a_bad_store_stops_nothing() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    assert!(trackway(&path, &["run", "--explicit", "--no-store", "--", "true"]).status.success());
    assert!(!path.exists());
    assert!(trackway(Path::new("none"), &["run", "--explicit", "--", "true"]).status.success());
    assert!(!Path::new("none").exists());
    let run = trackway(Path::new("/proc/no/runs.db"), &["run", "--explicit", "--", "sh", "-c", "exit 7"]);
    assert_eq!(run.status.code(), Some(7));
    assert!(said(&run).contains("in the local store"), "{}", said(&run));
    assert!(trackway(&path, &["run", "--explicit", "--quiet", "--", "true"]).status.success());
    assert_eq!(lines(&trackway(&path, &["runs", "--json"])).len(), 1);
}
