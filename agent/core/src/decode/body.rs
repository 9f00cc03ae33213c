//! A JSON body of which only what is asked for is parsed.

use bytes::Bytes;
use serde_json::Value;

use super::Faults;
use super::json::{self, Object};
use super::sieve::{Index, Shape, Sieve, Step};
use crate::limits;

/// Members that can be long. They are parsed when somebody asks for them by name, the others together.
const BULKY: &[&str] = &[
    "messages",
    "tools",
    "functions",
    "input",
    "instructions",
    "system",
    "contents",
    "systemInstruction",
    "system_instruction",
    "prompt",
    "data",
    "embeddings",
    "embedding",
    "predictions",
    "chat_history",
    "documents",
    "inputs",
    "texts",
    "images",
    "context",
    "request",
    "requests",
    "instances",
    "inputText",
    "toolConfig",
    "tool_results",
    "prompt_token_ids",
    "content",
    "choices",
    "output",
    "candidates",
    "results",
    "generations",
    "steps",
];

/// A body.
#[derive(Debug)]
pub(crate) struct Body {
    text: Bytes,
    index: Index,
    small: Object,
}

impl Body {
    /// What a sieve kept.
    pub(crate) fn new(sieve: Sieve, faults: &mut Faults) -> Self {
        let (over, broken) = (sieve.is_over(), sieve.is_broken());
        let (text, index) = sieve.finish();
        let mut body = Self { text: text.into(), index, small: Object::new() };
        if broken {
            faults.add("json", "brackets that do not fit");
        }
        if body.index.left_out() && !over {
            faults.add("limit.parts", format!("more than {} parts", limits::PARTS));
        }
        let mut small = Object::new();
        for member in body.index.members() {
            let Some(key) = body.key(member.key.range()) else { continue };
            if !BULKY.contains(&key.as_str())
                && let Some(value) = body.parsed(member.value.range(), &key, faults)
            {
                small.insert(key, value);
            }
        }
        body.small = small;
        body
    }

    /// From text that is all there.
    pub(crate) fn read(bytes: &[u8], faults: &mut Faults) -> Self {
        let mut sieve = Sieve::new(bytes.len().saturating_add(1));
        if !matches!(sieve.push(bytes), Step::Whole(_)) && !bytes.is_empty() {
            faults.add("json", "a body is not valid JSON");
        }
        Self::new(sieve, faults)
    }

    /// A body that is not there.
    pub(crate) fn none() -> Self {
        Self { text: Bytes::new(), index: Index::default(), small: Object::new() }
    }

    /// Whether it came to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.index.is_whole()
    }

    /// All members but the bulky ones.
    pub(crate) fn small(&self) -> &Object {
        &self.small
    }

    /// Whether there is a member of this name, `null` or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// Whether a member is an array.
    pub(crate) fn is_array(&self, key: &str) -> bool {
        self.starts(key, b'[')
    }

    /// Whether a member is a string.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        self.starts(key, b'"')
    }

    /// Whether a member is an object.
    pub(crate) fn is_map(&self, key: &str) -> bool {
        self.starts(key, b'{')
    }

    /// A member, parsed; `Null` where it is absent or broken.
    pub(crate) fn value(&self, key: &str, faults: &mut Faults) -> Value {
        let member = self.index.members().iter().rev().find(|member| self.named(member.key.range(), key));
        member.and_then(|member| self.parsed(member.value.range(), key, faults)).unwrap_or_default()
    }

    /// A member that begins with this byte, parsed; else `Null`.
    pub(crate) fn value_if(&self, key: &str, first: u8, faults: &mut Faults) -> Value {
        if self.starts(key, first) { self.value(key, faults) } else { Value::Null }
    }

    /// The text of a member, where it is there and not `null`.
    pub(crate) fn raw(&self, key: &str) -> Option<Bytes> {
        let member = self.index.members().iter().rev().find(|member| self.named(member.key.range(), key))?;
        let text = self.text.get(member.value.range())?.trim_ascii();
        (text != b"null").then(|| self.text.slice_ref(text))
    }

    /// The texts of an array's elements; nothing where the member is no array.
    pub(crate) fn list(&self, key: &str) -> Vec<Bytes> {
        let member = self.index.members().iter().rev().find(|member| self.named(member.key.range(), key));
        let spans = member.and_then(|member| self.index.elements().get(member.elements.clone()));
        let text = |range: std::ops::Range<usize>| {
            self.text.get(range).map(|text| self.text.slice_ref(text.trim_ascii()))
        };
        spans.unwrap_or_default().iter().filter_map(|span| text(span.range())).collect()
    }

    /// Whether it is an object.
    pub(crate) fn is_object(&self) -> bool {
        self.index.shape() == Some(Shape::Object)
    }

    /// The texts of the elements of an outermost array.
    pub(crate) fn elements(&self) -> Vec<Bytes> {
        let text = |range: std::ops::Range<usize>| self.text.get(range).map(|text| self.text.slice_ref(text));
        let spans = if self.is_object() { &[][..] } else { self.index.elements() };
        spans.iter().filter_map(|span| text(span.range())).collect()
    }

    /// The whole of it, parsed, while it is kept.
    pub(crate) fn object(&self, faults: &mut Faults) -> Object {
        let mut all = self.small.clone();
        for member in self.index.members() {
            if let Some(key) = self.key(member.key.range())
                && BULKY.contains(&key.as_str())
                && let Some(value) = self.parsed(member.value.range(), &key, faults)
            {
                all.insert(key, value);
            }
        }
        all
    }

    /// The whole of it, parsed member by member, so that one that is broken or nested too deep costs itself.
    pub(crate) fn into_object(self, faults: &mut Faults) -> Object {
        self.object(faults)
    }

    fn starts(&self, key: &str, byte: u8) -> bool {
        self.raw(key).is_some_and(|text| text.first() == Some(&byte))
    }

    fn named(&self, range: std::ops::Range<usize>, key: &str) -> bool {
        let text = self.text.get(range).unwrap_or_default();
        text.len() == key.len() + 2 && &text[1..text.len() - 1] == key.as_bytes()
    }

    fn key(&self, range: std::ops::Range<usize>) -> Option<String> {
        match json::parse(self.text.get(range)?) {
            Ok(Value::String(key)) => Some(key),
            _ => None,
        }
    }

    fn parsed(&self, range: std::ops::Range<usize>, key: &str, faults: &mut Faults) -> Option<Value> {
        match json::parse(self.text.get(range).unwrap_or_default()) {
            Ok(value) => Some(value),
            Err(reason) => {
                let name: String = key.chars().take(40).collect();
                faults.add("json", format!("`{name}` is {reason}"));
                None
            }
        }
    }
}

/// The values of pieces of text that somebody kept for later.
pub(crate) fn values(pieces: &[Bytes]) -> impl Iterator<Item = Value> {
    pieces.iter().map(|piece| json::parse(piece).unwrap_or_default())
}
