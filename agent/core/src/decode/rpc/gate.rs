//! Whether a JSON body can be JSON-RPC, told by its first members while it arrives.
//!
//! Most JSON that is posted is none, and shows it within its first bytes: JSON-RPC has six members and no
//! others. So nothing of such a body is kept, and no more of it read.

use super::{a2a, mcp};
use crate::limits;

/// What is known so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not enough came yet.
    More,
    /// It may be: nothing speaks against it any more.
    Yes,
    /// It is something else.
    No,
}

/// The state between two pieces of a body.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The request's head names one of the protocols, so that any method and an answer will do.
    said: bool,
    place: Place,
    /// Brackets that are open inside a member.
    depth: u32,
    escaped: bool,
    member: Member,
    word: Vec<u8>,
    seen: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first bracket, or the first of a batch.
    Start,
    /// Before a member's name.
    Before,
    /// Inside a member's name.
    Name,
    /// Between name and value.
    Colon,
    /// Inside a value, outside of its strings.
    Value,
    /// Inside a string of a value.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Version,
    Method,
    Other,
}

impl Gate {
    pub(crate) fn new(said: bool) -> Self {
        Self {
            said,
            place: Place::Start,
            depth: 0,
            escaped: false,
            member: Member::Other,
            word: Vec::new(),
            seen: 0,
        }
    }

    /// Takes bytes until the question is decided.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Verdict {
        for byte in bytes {
            let verdict = self.byte(*byte);
            if verdict != Verdict::More {
                return verdict;
            }
            // Parameters may come before the method, but not without end.
            self.seen = self.seen.saturating_add(1);
            if self.seen > limits::RPC_LOOK_BYTES && !self.said {
                return Verdict::No;
            }
        }
        Verdict::More
    }

    fn byte(&mut self, byte: u8) -> Verdict {
        match (self.place, byte) {
            (Place::Start | Place::Before | Place::Colon, b' ' | b'\t' | b'\n' | b'\r') => {}
            // A byte order mark, and the bracket of a batch.
            (Place::Start, 0xef | 0xbb | 0xbf | b'[') => {}
            (Place::Start, b'{') => self.place = Place::Before,
            (Place::Before, b'"') => {
                self.word.clear();
                self.place = Place::Name;
            }
            (Place::Name, b'"') => return self.name(),
            (Place::Name, _) => {
                self.word.push(byte);
                if self.word.len() > b"jsonrpc".len() {
                    return Verdict::No;
                }
            }
            (Place::Colon, b':') => self.place = Place::Value,
            (Place::Value, b'"') => {
                self.word.clear();
                self.place = Place::Text;
            }
            (Place::Value, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
            (Place::Value, b'}' | b']') => match self.depth.checked_sub(1) {
                Some(depth) => self.depth = depth,
                // The object ends: of a batch, another may follow.
                None => return if self.said { Verdict::Yes } else { Verdict::No },
            },
            (Place::Value, b',') if self.depth == 0 => self.place = Place::Before,
            (Place::Value, _) => {}
            (Place::Text, _) if self.escaped => self.escaped = false,
            (Place::Text, b'\\') => self.escaped = true,
            (Place::Text, b'"') => {
                self.place = Place::Value;
                if self.depth == 0 {
                    return self.text();
                }
            }
            (Place::Text, _) => {
                if self.depth == 0 && self.member != Member::Other {
                    self.word.push(byte);
                    if self.word.len() > limits::RPC_METHOD_BYTES {
                        return Verdict::No;
                    }
                }
            }
            _ => return Verdict::No,
        }
        Verdict::More
    }

    /// A member's name ended.
    fn name(&mut self) -> Verdict {
        self.place = Place::Colon;
        self.member = match self.word.as_slice() {
            b"jsonrpc" => Member::Version,
            b"method" => Member::Method,
            b"id" | b"params" => Member::Other,
            // An answer to a question of the server.
            b"result" | b"error" => return if self.said { Verdict::Yes } else { Verdict::No },
            _ => return Verdict::No,
        };
        Verdict::More
    }

    /// A string that is a member's value ended.
    fn text(&self) -> Verdict {
        match self.member {
            Member::Version if self.word != b"2.0" => Verdict::No,
            Member::Method if self.said => Verdict::Yes,
            Member::Method => {
                let word = String::from_utf8_lossy(&self.word);
                if mcp::is_known(&word) || a2a::is_known(&word) { Verdict::Yes } else { Verdict::No }
            }
            Member::Version | Member::Other => Verdict::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: bool, text: &str, expect: Verdict) {
        for size in 1..=text.len() {
            let mut gate = Gate::new(said);
            let verdicts = text.as_bytes().chunks(size).map(|piece| gate.push(piece));
            let last = verdicts.into_iter().find(|verdict| *verdict != Verdict::More);
            assert_eq!(last.unwrap_or(Verdict::More), expect, "{text} by {size}");
        }
    }

    #[test]
    fn the_first_members_decide() {
        use Verdict::{More, No, Yes};
        check(false, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"#, Yes);
        check(false, r#" [ {"method":"message/send""#, Yes);
        check(false, r#"{"id":{"a":[1]},"params":{"method":"x","q":"\"}"},"method":"ping""#, No);
        check(false, r#"{"params":{"a":"}]\\"},"method":"tools/list""#, Yes);
        check(false, r#"{"model":"#, No);
        check(false, r#"{"jsonrpc":"1.0","#, No);
        check(false, r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","#, No);
        check(false, r#"{"jsonrpc":"2.0","method":"textDocument/didOpen","#, No);
        check(false, r#"{"jsonrpc":"2.0","id":1,"result":"#, No);
        check(false, r#"{"jsonrpc":"2.0","id":1}"#, No);
        check(false, r#"{"jsonrpc":"2.0","id":1,"#, More);
        check(false, r#"["a"]"#, No);
        check(false, "text", No);
        check(true, r#"{"jsonrpc":"2.0","id":1,"result":"#, Yes);
        check(true, r#"{"jsonrpc":"2.0","id":1,"method":"vendor/own""#, Yes);
        check(true, r#"{"query":"#, No);
    }

    #[test]
    fn what_never_says_its_method_is_left() {
        let mut gate = Gate::new(false);
        let start = format!("{{\"params\":\"{}", "x".repeat(limits::RPC_LOOK_BYTES));
        assert_eq!(gate.push(start.as_bytes()), Verdict::No);
    }
}
