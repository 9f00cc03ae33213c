use super::*;

const CLOCK: Clock = Clock { offset_ns: 1_000 };

fn record(kind: u32, status: u32, filename: &[u8], argv: &[u8], total: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for long in [7_u64, 5, 3] {
        bytes.extend(long.to_ne_bytes());
    }
    // Pids that cannot exist, so that no `/proc` entry answers.
    for word in [kind, u32::MAX, u32::MAX - 1, status, len(filename), len(argv), total, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(filename);
    bytes.extend(argv);
    bytes
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn key(pid: u32, started: u64) -> ProcessKey {
    ProcessKey { pid, started: Time(started) }
}

#[test]
fn a_fork_names_both_processes() {
    let fact = fact(&record(kind::FORK, 0, b"", b"", 0), CLOCK);
    let (parent, child) = (key(u32::MAX - 1, 1_003), key(u32::MAX, 1_005));
    assert_eq!(fact, Some(ProcessFact::Fork { parent, child, time: Time(1_007) }));
}

#[test]
fn an_exec_keeps_empty_arguments_and_says_when_some_are_missing() {
    let check = |argv: &[u8], total: u32, expect: &[&str], cut: bool| {
        let Some(ProcessFact::Exec { filename, argv, truncated, cwd, .. }) =
            fact(&record(kind::EXEC, 0, b"/bin/x\0", argv, total), CLOCK)
        else {
            panic!("not an exec")
        };
        assert_eq!((filename.as_str(), truncated, cwd), ("/bin/x", cut, None));
        assert_eq!(argv, expect);
    };
    check(b"x\0\0-a\0\0", 7, &["x", "", "-a", ""], false);
    check(b"x\0long", 900, &["x", "long"], true);
    check(b"", 0, &[], false);
    check(b"x\0\xff\0", 4, &["x", "\u{fffd}"], false);
}

#[test]
fn an_exit_is_a_code_or_a_signal() {
    let check = |raw: u32, expect: Result<i32, i32>| {
        let fact = fact(&record(kind::EXIT, raw, b"", b"", 0), CLOCK);
        assert_eq!(
            fact,
            Some(ProcessFact::Exit { process: key(u32::MAX, 1_005), status: expect, time: Time(1_007) })
        );
    };
    check(0, Ok(0));
    check(3 << 8, Ok(3));
    check(255 << 8, Ok(255));
    check(9, Err(9));
    check(11 | 0x80, Err(11));
}

#[test]
fn what_is_too_short_or_unknown_is_no_fact() {
    assert_eq!(fact(&[], CLOCK), None);
    assert_eq!(fact(&record(9, 0, b"", b"", 0), CLOCK), None);
    let mut short = record(kind::EXEC, 0, b"/bin/x\0", b"x\0", 2);
    short.pop();
    assert_eq!(fact(&short, CLOCK), None);
}
