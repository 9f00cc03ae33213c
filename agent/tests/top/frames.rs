//! What the frames look like. A frame that changed on purpose is written anew with `UPDATE_FRAMES=1`.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use trackway::top::feed::Feed;
use trackway::top::style::Theme;
use trackway::top::view::{Next, View};
use trackway::top::{draw, lines};

use super::support::{NOW, busy, look};

fn view(path: &Path, color: bool) -> View {
    let mut view = View::new("/home/ada/.local/state/trackway/runs.db".to_owned(), Theme { color });
    view.now = NOW;
    look(&mut Feed::new(path.to_owned()), &mut view.board);
    view
}

fn draw(view: &mut View, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::frame(view, frame.area(), frame.buffer_mut())).unwrap();
    terminal
}

fn check(name: &str, view: &mut View, width: u16, height: u16) {
    let terminal = draw(view, width, height);
    let frame = lines(terminal.backend().buffer()).join("\n") + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/top").join(name);
    if std::env::var_os("UPDATE_FRAMES").is_some() {
        std::fs::write(&file, &frame).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(frame == expected, "{name} is no longer what is drawn:\n{frame}");
}

fn press(view: &mut View, code: KeyCode) -> Next {
    view.key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn the_table_fits_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let _tapes = busy(&path, NOW);
    let mut view = view(&path, true);
    check("60x15.txt", &mut view, 60, 15);
    check("100x30.txt", &mut view, 100, 30);
    check("160x40.txt", &mut view, 160, 40);
    for (width, height) in [(1, 1), (20, 4), (24, 3), (37, 9), (59, 19), (61, 20), (300, 90)] {
        draw(&mut view, width, height);
    }
}

#[test]
fn a_run_opens_as_a_tree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let _tapes = busy(&path, NOW);
    let mut view = view(&path, true);
    for _ in 0..2 {
        press(&mut view, KeyCode::Down);
    }
    assert_eq!(press(&mut view, KeyCode::Enter), Next::Look);
    Feed::new(path).look(&mut view.board, view.opened.as_mut()).unwrap();
    check("tree-100x30.txt", &mut view, 100, 30);
    // In fewer lines it follows the end, until somebody scrolls.
    let small = |view: &mut View| lines(draw(view, 70, 10).backend().buffer()).join("\n");
    let end = small(&mut view);
    press(&mut view, KeyCode::Home);
    let top = small(&mut view);
    assert!(end != top && top.contains("invoke_agent claude") && top.contains("more"), "{top}");
    press(&mut view, KeyCode::End);
    assert_eq!(small(&mut view), end);
    assert!(view.opened.as_ref().unwrap().follow);
    assert_eq!(press(&mut view, KeyCode::Esc), Next::Stay);
    assert!(view.opened.is_none());
    assert_eq!(press(&mut view, KeyCode::Char('q')), Next::Quit);
}

#[test]
fn help_and_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let _tapes = busy(&path, NOW);
    let mut full = view(&path, true);
    press(&mut full, KeyCode::Char('?'));
    check("help-60x15.txt", &mut full, 60, 15);
    press(&mut full, KeyCode::Char('x'));
    assert!(!full.help);

    let mut empty = View::new("/tmp/runs.db".to_owned(), Theme { color: true });
    let frame = lines(draw(&mut empty, 80, 20).backend().buffer()).join("\n");
    assert!(frame.contains("no run is stored in /tmp/runs.db yet"), "{frame}");
    assert!(frame.contains("trackway demo ") && frame.contains("trackway run -- COMMAND"), "{frame}");
}

#[test]
fn the_filter_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let _tapes = busy(&path, NOW);
    let mut view = view(&path, true);
    for letter in "/qzx".chars() {
        press(&mut view, KeyCode::Char(letter));
    }
    let frame = lines(draw(&mut view, 80, 20).backend().buffer()).join("\n");
    assert!(
        frame.contains(" / qzx▏") && frame.contains("no agent and no model is named like “qzx”"),
        "{frame}"
    );
    press(&mut view, KeyCode::Esc);
    for letter in "/claude".chars() {
        press(&mut view, KeyCode::Char(letter));
    }
    press(&mut view, KeyCode::Enter);
    let frame = lines(draw(&mut view, 80, 20).backend().buffer()).join("\n");
    assert!(frame.contains("1 running · 0 ended · only “claude”"), "{frame}");
    assert_eq!(press(&mut view, KeyCode::Esc), Next::Stay, "first the filter goes");
    assert_eq!(press(&mut view, KeyCode::Esc), Next::Quit);
}

#[test]
fn without_colours_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let _tapes = busy(&path, NOW);
    for color in [true, false] {
        let mut view = view(&path, color);
        press(&mut view, KeyCode::Enter);
        Feed::new(path.clone()).look(&mut view.board, view.opened.as_mut()).unwrap();
        let tree = draw(&mut view, 100, 30);
        press(&mut view, KeyCode::Esc);
        let table = draw(&mut view, 100, 30);
        let cells = tree.backend().buffer().content.iter().chain(&table.backend().buffer().content);
        let colored = cells.filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count();
        assert_eq!(colored > 0, color, "{colored}");
        // What an agent is called must not steer the terminal.
        assert!(table.backend().buffer().content.iter().all(|cell| !cell.symbol().contains('\u{1b}')));
    }
}
