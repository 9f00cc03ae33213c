//! What a run says again and again is stored once: agents send their whole history, and every tool's definition,
//! with each request.
//!
//! A long attribute becomes bytes that name pieces, which is exact: what does not join to the same text again is
//! kept whole.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;
use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use trackway_core::names;
use trackway_core::telemetry::TraceId;

use super::{Error, id, limits};

/// One piece is the text.
const WHOLE: u8 = 0;
/// The pieces are the elements of a JSON array.
const LIST: u8 = 1;

/// The pieces of one run that are stored already.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    known: HashMap<TraceId, u32>,
    next: i64,
}

impl Pieces {
    /// Forgets what a transaction stored that came to nothing.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Moves the long attributes of a span into pieces.
    pub(super) fn take(&mut self, db: &Connection, run: i64, span: &mut ProtoSpan) -> Result<(), Error> {
        for attribute in &mut span.attributes {
            let list = match attribute.key.as_str() {
                names::INPUT_MESSAGES => true,
                names::SYSTEM_INSTRUCTIONS | names::TOOL_DEFINITIONS => false,
                _ => continue,
            };
            let Some(Value::StringValue(text)) = attribute.value.as_mut().and_then(|it| it.value.as_mut())
            else {
                continue;
            };
            if text.len() < limits::PIECE_BYTES {
                continue;
            }
            let (form, parts) = match elements(text).filter(|_| list) {
                Some(parts) => (LIST, parts),
                None => (WHOLE, vec![text.as_str()]),
            };
            let mut bytes = vec![form];
            let mut all = true;
            for part in parts {
                let Some(number) = self.store(db, run, part)? else {
                    all = false;
                    break;
                };
                bytes.extend(number.to_le_bytes());
            }
            if all && let Some(value) = &mut attribute.value {
                value.value = Some(Value::BytesValue(bytes));
            }
        }
        Ok(())
    }

    fn store(&mut self, db: &Connection, run: i64, text: &str) -> Result<Option<u32>, Error> {
        let key = TraceId::derive(&[text.as_bytes()]);
        if let Some(number) = self.known.get(&key) {
            return Ok(Some(*number));
        }
        let (at, Ok(number)) = (self.next, u32::try_from(self.next)) else { return Ok(None) };
        if at >= limits::NUMBERS {
            return Ok(None);
        }
        self.next += 1;
        let mut statement = db.prepare_cached("INSERT INTO pieces (id, text) VALUES (?1, ?2)")?;
        statement.execute(params![id(run, at), text])?;
        if self.known.len() >= limits::REMEMBERED {
            self.known.clear();
        }
        self.known.insert(key, number);
        Ok(Some(number))
    }
}

/// The elements of an array that was written without white space.
fn elements(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let elements: Vec<&str> = elements.into_iter().map(RawValue::get).collect();
    let length = elements.iter().map(|it| it.len() + 1).sum::<usize>() + 1;
    // Nothing but brackets and commas stands between them, or the text would be longer.
    (!elements.is_empty() && length == text.len()).then_some(elements)
}

/// Puts the pieces back.
pub(super) fn restore(db: &Connection, run: i64, span: &mut ProtoSpan) -> Result<(), Error> {
    for attribute in &mut span.attributes {
        let Some(value) = attribute.value.as_mut() else { continue };
        let Some(Value::BytesValue(bytes)) = &value.value else { continue };
        let Some((form, numbers)) = bytes.split_first() else { continue };
        let mut statement = db.prepare_cached("SELECT text FROM pieces WHERE id = ?1")?;
        let (chunks, _) = numbers.as_chunks::<4>();
        let mut texts = Vec::with_capacity(chunks.len());
        for number in chunks {
            let number = u32::from_le_bytes(*number);
            texts.push(statement.query_row([id(run, number.into())], |row| row.get::<_, String>(0))?);
        }
        let text = match *form {
            LIST => format!("[{}]", texts.join(",")),
            _ => texts.concat(),
        };
        value.value = Some(Value::StringValue(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn elements_join_to_the_same_text_or_are_none() {
        assert_eq!(elements(r#"[{"a":[1,2]},"x,y",3]"#), Some(vec![r#"{"a":[1,2]}"#, r#""x,y""#, "3"]));
        assert_eq!(elements("[1, 2]"), None);
        assert_eq!(elements("[]"), None);
        assert_eq!(elements(r#"{"a":1}"#), None);
        assert_eq!(elements("[1,2"), None);
    }
}
