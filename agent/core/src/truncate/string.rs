//! Strings in short.

use serde_json::Value;

/// The beginning of a text, with how much is missing.
pub(super) fn head(text: &str, limit: usize) -> String {
    let mark = |left_out: usize| format!("…[+{left_out} bytes]");
    // The number is at most that of all bytes.
    let keep = text.floor_char_boundary(limit.saturating_sub(mark(text.len()).len()));
    let mut short = text.get(..keep).unwrap_or_default().to_owned();
    short.push_str(&mark(text.len() - keep));
    short
}

/// A string that takes at most `room` bytes as JSON: its middle is left out. `None` where not even the mark of
/// that has room.
pub(super) fn middle(text: &str, room: usize) -> Option<Value> {
    let mark = |left_out: usize| format!("…[+{left_out} bytes]…");
    let Some(room) = room.checked_sub(2 + mark(text.len()).len()) else {
        return (room >= "\"…\"".len()).then(|| Value::String("…".to_owned()));
    };
    let head = taken(text.chars(), room - room / 2);
    let tail = taken(text.get(head..).unwrap_or_default().chars().rev(), room / 2);
    let (start, end) =
        (text.get(..head).unwrap_or_default(), text.get(text.len() - tail..).unwrap_or_default());
    Some(Value::String(format!("{start}{}{end}", mark(text.len() - head - tail))))
}

/// How many bytes of the text fit.
fn taken(characters: impl Iterator<Item = char>, mut room: usize) -> usize {
    let mut taken = 0;
    for character in characters {
        let size = escaped(character);
        if size > room {
            break;
        }
        room -= size;
        taken += character.len_utf8();
    }
    taken
}

/// Bytes of a character inside a JSON string.
fn escaped(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}
