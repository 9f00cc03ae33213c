//! What is on the screen, and what keys do to it. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::board::Board;
use super::limits;
use super::opened::Opened;
use super::style::Theme;

/// Everything that a frame shows.
#[derive(Debug)]
pub struct View {
    /// The runs.
    pub board: Board,
    /// The one that is open.
    pub opened: Option<Opened>,
    /// Whether the keys are explained.
    pub help: bool,
    /// Whether the filter is being typed.
    pub typing: bool,
    /// Why there is nothing to read.
    pub fault: Option<String>,
    /// Where the runs are read from.
    pub source: String,
    /// The time, in nanoseconds since 1970.
    pub now: u64,
    /// Frames so far, for what turns.
    pub tick: usize,
    /// Lines that a page has.
    pub page: usize,
    /// Colours.
    pub theme: Theme,
}

/// What comes after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next frame.
    Stay,
    /// A look at the store, then the next frame.
    Look,
    /// The end.
    Quit,
}

impl View {
    /// Nothing yet.
    pub fn new(source: String, theme: Theme) -> Self {
        Self {
            board: Board::default(),
            opened: None,
            help: false,
            typing: false,
            fault: None,
            source,
            now: 0,
            tick: 0,
            page: 1,
            theme,
        }
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) -> Next {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Next::Quit;
        }
        match (self.help, self.typing, self.opened.is_some()) {
            (true, ..) => {
                self.help = false;
                Next::Stay
            }
            (_, true, _) => self.letter(key.code, control),
            (_, _, true) => self.tree(key.code),
            _ => self.table(key.code),
        }
    }

    fn letter(&mut self, code: KeyCode, control: bool) -> Next {
        let filter = &mut self.board.filter;
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                filter.clear();
                self.typing = false;
            }
            KeyCode::Char('u') if control => filter.clear(),
            KeyCode::Char(_) if control => {}
            KeyCode::Backspace => drop(filter.pop()),
            KeyCode::Char(letter) if filter.len() + letter.len_utf8() <= limits::FILTER => {
                filter.push(letter)
            }
            _ => {}
        }
        Next::Stay
    }

    fn table(&mut self, code: KeyCode) -> Next {
        let page = isize::try_from(self.page).unwrap_or(isize::MAX);
        match code {
            KeyCode::Char('q') => return Next::Quit,
            KeyCode::Esc if self.board.filter.is_empty() => return Next::Quit,
            KeyCode::Esc => self.board.filter.clear(),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('s') => self.board.sort = self.board.sort.next(),
            KeyCode::Up | KeyCode::Char('k') => self.board.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.board.step(1),
            KeyCode::PageUp => self.board.step(-page),
            KeyCode::PageDown => self.board.step(page),
            KeyCode::Home | KeyCode::Char('g') => self.board.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.board.step(isize::MAX),
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => {
                self.opened = self.board.current().map(Opened::new);
                return Next::Look;
            }
            _ => {}
        }
        Next::Stay
    }

    fn tree(&mut self, code: KeyCode) -> Next {
        let page = isize::try_from(self.page).unwrap_or(isize::MAX);
        let Some(opened) = &mut self.opened else { return Next::Stay };
        let by = match code {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => {
                self.opened = None;
                return Next::Stay;
            }
            KeyCode::Char('?') | KeyCode::F(1) => {
                self.help = true;
                return Next::Stay;
            }
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::PageUp => -page,
            KeyCode::PageDown | KeyCode::Char(' ') => page,
            KeyCode::Home | KeyCode::Char('g') => isize::MIN,
            KeyCode::End | KeyCode::Char('G') => isize::MAX,
            _ => return Next::Stay,
        };
        opened.scroll(by, self.page);
        Next::Stay
    }
}
