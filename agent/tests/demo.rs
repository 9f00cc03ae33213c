//! The demonstration shows the whole way, without key, root or network.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn demo(arguments: &[&str]) -> Output {
    let start = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackway"));
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if ["OTEL_", "_PROXY", "CERT", "CA_BUNDLE", "JAVA_TOOL"].iter().any(|part| upper.contains(part)) {
            command.env_remove(name);
        }
    }
    let output = command
        .env("TRACKWAY_STORE", "none")
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    output
}

fn check(arguments: &[&str], processes: bool) {
    let output = demo(arguments);
    let (said, tree) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{tree}");
    assert!(said.contains("This machine runs Linux"), "{said}");
    assert!(tree.contains("invoke_agent demo-agent"), "{tree}");
    assert_eq!(tree.matches("chat gpt-demo").count(), 3, "{tree}");
    assert_eq!(tree.matches("─ shell {").count(), 2, "{tree}");
    assert!(tree.contains("3 model calls · in 454 (cached 192) out 83 · 2 tools"), "{tree}");
    assert!(tree.contains("uname -sr"), "{tree}");
    assert!(tree.contains("trackway run -- "), "tells what to type next: {tree}");
    assert!(!tree.contains("sk-demo"), "{tree}");
    if processes {
        assert!(!tree.contains("no root"), "{tree}");
        assert!(!tree.contains(" 0 processes"), "{tree}");
    }
}

#[test]
fn without_root() {
    check(&["--explicit"], false);
}

#[test]
fn with_the_kernels_help() {
    if nix::unistd::geteuid().is_root() {
        check(&[], true);
    } else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must run these tests as root");
        eprintln!("not root: only the explicit mode is tried");
    }
}
