//! What the rows say.

use trackway::store::{Error, State};
use trackway::top::activity::Doing;
use trackway::top::board::{Board, Sort};
use trackway::top::feed::Feed;
use trackway_core::run::Totals;

use super::support::{NOW, SECOND, Tape, asks, busy, int, look, looping, row, text};

fn tool(board: &Board, agent: &str) -> Option<(String, String, usize)> {
    let row = row(board, agent);
    match row.activity.doing(row.run.state) {
        Doing::Tool(ask, others) => Some((ask.name, ask.arguments, others)),
        _ => None,
    }
}

#[test]
fn a_tool_is_in_hand_until_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (mut board, mut feed) = (Board::default(), Feed::new(path.clone()));
    assert!(matches!(feed.look(&mut board, None), Err(Error::Missing { .. })));

    let mut tape = Tape::begin(&path, 1, "a", "m", NOW);
    look(&mut feed, &mut board);
    let doing = |board: &Board| row(board, "a").activity.doing(row(board, "a").run.state);
    assert_eq!(doing(&board), Doing::Starting);

    let call = tape.call(
        5,
        100,
        None,
        &[asks("1", "ls", r#"{"path":"/"}"#), asks("2", "cat", r#"{"a":1,"b":"x"}"#)],
    );
    tape.write(&[call]);
    look(&mut feed, &mut board);
    assert_eq!(tool(&board, "a"), Some(("cat".into(), "a=1 b=x".into(), 1)));
    let answer = tape.tool(6, "cat", "2", None);
    tape.write(&[answer]);
    look(&mut feed, &mut board);
    assert_eq!(tool(&board, "a"), Some(("ls".into(), "/".into(), 0)));
    let answer = tape.tool(7, "ls", "1", Some("denied"));
    tape.write(&[answer]);
    look(&mut feed, &mut board);
    assert_eq!(doing(&board), Doing::Model(NOW + 7 * SECOND));
    assert_eq!(row(&board, "a").activity.trouble.as_ref().unwrap().words, "execute_tool ls: denied");

    let call = tape.call(9, 140, Some(40), &[]);
    tape.write(&[call]);
    look(&mut feed, &mut board);
    assert_eq!(doing(&board), Doing::Idle(NOW + 9 * SECOND));
    let context = row(&board, "a").activity.context.unwrap();
    assert_eq!((context.tokens, context.growth), (140, Some(40)));
    assert_eq!(row(&board, "a").run.totals.llm_calls, 2);

    tape.end(10, "task", None, Totals::default());
    look(&mut feed, &mut board);
    assert_eq!((doing(&board), row(&board, "a").run.state), (Doing::Ended, State::Ok));
}

#[test]
fn answers_may_come_first_have_no_id_or_not_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut tape = Tape::begin(&path, 1, "a", "m", NOW);
    let spans = [tape.tool(2, "ls", "1", None), tape.call(1, 1, None, &[asks("1", "ls", "{}")])];
    tape.write(&spans);
    let mut ids = Tape::begin(&path, 2, "b", "m", NOW);
    let spans = [
        ids.call(1, 1, None, &[asks("", "ls", r#""-l""#), asks("", "ls", "null")]),
        ids.tool(2, "ls", "", None),
    ];
    ids.write(&spans);
    let mut bare = Tape::begin(&path, 3, "c", "m", NOW);
    let mut call = bare.call(1, 1, None, &[]);
    call.attributes.retain(|it| it.key != "gen_ai.output.messages");
    call.attributes.push(trackway_core::telemetry::Attribute {
        key: "gen_ai.response.finish_reasons".into(),
        value: trackway_core::telemetry::AttributeValue::Texts(vec!["tool_call".to_owned()]),
        class: trackway_core::telemetry::Class::Plain,
    });
    bare.write(&[call]);

    let (mut board, mut feed) = (Board::default(), Feed::new(path));
    look(&mut feed, &mut board);
    assert_eq!(row(&board, "a").activity.doing(State::Running), Doing::Model(NOW + 2 * SECOND));
    assert_eq!(tool(&board, "b"), Some(("ls".into(), String::new(), 0)));
    assert_eq!(row(&board, "c").activity.doing(State::Running), Doing::Tools(NOW + SECOND));
}

#[test]
fn loops_are_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut tape = Tape::begin(&path, 1, "a", "m", NOW);
    let (mut one, mut two) = (tape.call(1, 1, None, &[]), tape.call(2, 1, None, &[]));
    looping(&mut one, &["read"]);
    looping(&mut two, &["read", "edit"]);
    tape.write(&[two, one]);
    let (mut board, mut feed) = (Board::default(), Feed::new(path));
    look(&mut feed, &mut board);
    let activity = &row(&board, "a").activity;
    assert_eq!(activity.loops, 2);
    assert_eq!(activity.newest_loop.as_ref().unwrap().words, "read → edit, the same arguments, 3 times");
    // The root knows of those that are not read any more.
    let root = tape.span("root", 3, vec![int("agent.run.loops", 5)]);
    tape.write(&[root]);
    look(&mut feed, &mut board);
    assert_eq!(row(&board, "a").activity.loops, 5);
}

#[test]
fn the_board_sorts_filters_and_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let tapes = busy(&path, NOW);
    let (mut board, mut feed) = (Board::default(), Feed::new(path.clone()));
    look(&mut feed, &mut board);
    let names = |board: &Board| -> Vec<String> {
        board
            .shown()
            .iter()
            .map(|row| row.run.agent.chars().filter(|it| !it.is_control()).collect())
            .collect()
    };
    assert_eq!(names(&board), ["研究員[31m", "demo-agent", "claude", "goose", "aider", "codex"]);
    assert_eq!(row(&board, "goose").run.state, State::Lost);
    let sum = board.sum(&board.shown(), NOW);
    assert_eq!((sum.running, sum.ended), (3, 3));
    assert_eq!((sum.input, sum.output), (45_500 + 31_000 + 1_200 + 12_000 + 18_000, 250 * 7));
    assert_eq!(sum.unpriced, 1);
    // Within the last minute: one of claude, one of the looper, one of the wide one.
    assert_eq!(sum.calls, 3);
    // Four calls of the last minutes fall into them; the last of goose was 470 s ago, that of aider 670 s.
    assert_eq!(sum.graph.iter().sum::<u64>(), 21_250 + 24_750 + 31_250 + 1_450 + 12_250);

    board.sort = Sort::Tokens;
    assert_eq!(names(&board).first().map(String::as_str), Some("claude"));
    board.filter = "GPT-5".to_owned();
    assert_eq!(names(&board), ["demo-agent", "codex"]);
    assert_eq!(board.sum(&board.shown(), NOW).running, 1);

    board.step(1);
    let codex = row(&board, "codex").run.id;
    assert_eq!(board.current(), Some(codex));
    board.filter.clear();
    assert_eq!(board.current(), Some(codex), "the choice stays with its run");
    board.step(isize::MIN);
    assert_eq!(board.chosen, None);
    drop(tapes);
}

#[test]
fn only_what_changed_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut tape = Tape::begin(&path, 1, "a", "m", NOW);
    let (mut board, mut feed) = (Board::default(), Feed::new(path.clone()));
    assert!(feed.look(&mut board, None).unwrap());
    assert!(!feed.look(&mut board, None).unwrap(), "nobody wrote");
    let span =
        tape.span("x", 1, vec![text("gen_ai.operation.name", "chat"), int("gen_ai.usage.input_tokens", 7)]);
    tape.write(&[span]);
    assert!(feed.look(&mut board, None).unwrap());
    assert_eq!(row(&board, "a").activity.context.unwrap().tokens, 7);
    // Another file in its place is another store.
    std::fs::remove_file(&path).unwrap();
    for end in ["-wal", "-shm"] {
        std::fs::remove_file(folder.path().join(format!("runs.db{end}"))).ok();
    }
    let gone = (0..8).any(|_| feed.look(&mut board, None).is_err());
    assert!(gone && board.rows.is_empty());
    drop(Tape::begin(&path, 2, "b", "m", NOW));
    look(&mut feed, &mut board);
    assert_eq!(board.rows.len(), 1);
    assert_eq!(row(&board, "b").run.agent, "b");
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "these are notes, and no store at all, however long they are".repeat(40)).unwrap();
    let refused = Feed::new(path.clone()).look(&mut Board::default(), None);
    assert!(matches!(refused, Err(Error::Foreign { .. })), "{refused:?}");
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    let refused = Feed::new(empty.clone()).look(&mut Board::default(), None);
    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0, "it was not made a store");
}
