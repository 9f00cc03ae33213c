//! JSON values within a number of bytes, in the shapes of the GenAI conventions.

use serde_json::{Map, Value, json};

use super::string;

/// An item of a list that would get less is left out with its neighbours rather than shown as a stump.
const SMALLEST_ITEM: usize = 24;
/// The same for a message before the newest.
const SMALLEST_MESSAGE: usize = 160;

/// What a value has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `gen_ai.input.messages`, `gen_ai.output.messages`.
    Messages,
    Message,
    /// `gen_ai.system_instructions`, and the parts of a message.
    Parts,
    Part,
    /// `gen_ai.tool.definitions`.
    Definitions,
    Definition,
    /// A name or a kind: all of it or nothing.
    Whole,
    Any,
}

impl Shape {
    fn member(self, key: &str) -> Shape {
        match (self, key) {
            (Shape::Message, "parts") => Shape::Parts,
            (Shape::Message, "role" | "finish_reason" | "name")
            | (Shape::Part, "type" | "id" | "name" | "modality" | "mime_type" | "file_id")
            | (Shape::Definition, "type" | "name") => Shape::Whole,
            _ => Shape::Any,
        }
    }

    /// Whether an object is still of its shape without this member.
    fn can_lose(self, key: &str) -> bool {
        match self {
            Shape::Message => !matches!(key, "role" | "parts" | "finish_reason"),
            Shape::Part => matches!(key, "id" | "arguments" | "mime_type" | "bytes"),
            Shape::Definition => !matches!(key, "type" | "name"),
            _ => true,
        }
    }

    fn item(self) -> Shape {
        match self {
            Shape::Parts => Shape::Part,
            Shape::Definitions => Shape::Definition,
            _ => Shape::Any,
        }
    }

    /// What stands for items that were left out.
    fn mark(self, count: usize) -> Value {
        let said = |what| format!("…[+{count} {what}]…");
        match self {
            Shape::Parts => json!({"type": "text", "content": said("parts")}),
            Shape::Definitions => json!({"type": "left_out", "name": said("tools")}),
            _ => said("items").into(),
        }
    }
}

/// The value in at most `room` bytes of JSON; `None` where that cannot be.
pub(super) fn fit(value: &Value, room: usize, shape: Shape) -> Option<Value> {
    if size(value) <= room {
        return Some(value.clone());
    }
    match (value, shape) {
        (_, Shape::Whole) => None,
        (Value::Array(items), Shape::Messages) => messages(items, room),
        (Value::Array(items), _) => list(items, room, shape),
        (Value::Object(members), _) => object(members, room, shape),
        (Value::String(text), _) => string::middle(text, room),
        _ => (room >= 4).then_some(Value::Null),
    }
}

/// Length as JSON.
fn size(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Writing to a counter does not fail.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// The newest message first, then older ones while there is room; one message says how many are missing.
fn messages(items: &[Value], room: usize) -> Option<Value> {
    let (newest, older) = items.split_last()?;
    let finished = newest.get("finish_reason").is_some();
    let mark = |count: usize| {
        let mut mark = json!({"role": "system", "parts": [
            {"type": "text", "content": format!("…[+{count} messages]…")},
        ]});
        if finished {
            mark["finish_reason"] = "left_out".into();
        }
        mark
    };
    let inside = room.checked_sub(2)?;
    let reserve = if older.is_empty() { 0 } else { size(&mark(older.len())) + 1 };
    let marked =
        inside.checked_sub(reserve).and_then(|left| Some((fit(newest, left, Shape::Message)?, left)));
    let Some((first, left)) = marked else {
        let alone = fit(newest, inside, Shape::Message);
        return Some(Value::Array(alone.into_iter().collect()));
    };
    let mut left = left - size(&first);
    let mut kept = vec![first];
    for (place, message) in older.iter().enumerate().rev() {
        // One long message does not take the place of all before it.
        let share = if place == 0 { left } else { left / 2 };
        let whole = size(message) < share;
        if !whole && share < SMALLEST_MESSAGE {
            break;
        }
        let Some(short) = fit(message, share.saturating_sub(1), Shape::Message) else { break };
        left = left.saturating_sub(size(&short) + 1);
        kept.push(short);
    }
    if kept.len() < items.len() {
        kept.push(mark(items.len() - kept.len()));
    }
    kept.reverse();
    Some(Value::Array(kept))
}

/// All items in short, or as many as get a readable size: of parts the last, of everything else the first.
fn list(items: &[Value], room: usize, shape: Shape) -> Option<Value> {
    let mut count = items.len();
    while count > 0 {
        let kept = match shape {
            Shape::Parts => items.get(items.len() - count..),
            _ => items.get(..count),
        };
        if let Some(kept) = kept.and_then(|kept| all(kept, items.len() - count, room, shape)) {
            return Some(Value::Array(kept));
        }
        count /= 2;
    }
    let mark = Value::Array(vec![shape.mark(items.len())]);
    if size(&mark) <= room {
        return Some(mark);
    }
    (room >= 2).then(|| Value::Array(Vec::new()))
}

fn all(items: &[Value], left_out: usize, room: usize, shape: Shape) -> Option<Vec<Value>> {
    let mark = (left_out > 0).then(|| shape.mark(left_out));
    let marked = mark.as_ref().map_or(0, |mark| size(mark) + 1);
    let room = room.checked_sub(1 + items.len() + marked)?;
    let sizes: Vec<usize> = items.iter().map(size).collect();
    let share = share(&sizes, room);
    if items.len() > 1 && share < SMALLEST_ITEM {
        return None;
    }
    let mut kept: Vec<Value> =
        items.iter().map(|item| fit(item, share, shape.item())).collect::<Option<_>>()?;
    match (mark, shape) {
        (Some(mark), Shape::Parts) => kept.insert(0, mark),
        (Some(mark), _) => kept.push(mark),
        (None, _) => {}
    }
    Some(kept)
}

/// All members in short; else those that the shape needs, or of a free object as many as have room.
fn object(members: &Map<String, Value>, room: usize, shape: Shape) -> Option<Value> {
    let every: Vec<(&String, &Value)> = members.iter().collect();
    if let Some(short) = some(&every, room, shape) {
        return Some(Value::Object(short));
    }
    let needed: Vec<_> = every.iter().copied().filter(|(key, _)| !shape.can_lose(key)).collect();
    if !needed.is_empty() {
        return some(&needed, room, shape).map(Value::Object);
    }
    let mut count = every.len() / 2;
    loop {
        let left_out = Value::String(format!("[+{} members]", every.len() - count));
        let marked = size(&left_out) + "\"…\":,".len();
        let kept = every.get(..count).unwrap_or_default();
        if let Some(mut kept) = room.checked_sub(marked).and_then(|room| some(kept, room, shape)) {
            kept.insert("…".to_owned(), left_out);
            return Some(Value::Object(kept));
        }
        if count == 0 {
            return (room >= 2).then(|| Value::Object(Map::new()));
        }
        count /= 2;
    }
}

fn some(members: &[(&String, &Value)], room: usize, shape: Shape) -> Option<Map<String, Value>> {
    // Braces, and for each member its name, a colon and a comma.
    let names: usize = members.iter().map(|(key, _)| size(&Value::String((*key).clone())) + 2).sum();
    let mut room = room.checked_sub(2 + names.saturating_sub(1))?;
    let mut sizes = Vec::new();
    for (key, value) in members {
        match shape.member(key) {
            Shape::Whole => room = room.checked_sub(size(value))?,
            _ => sizes.push(size(value)),
        }
    }
    let share = share(&sizes, room);
    let one = |(key, value): &(&String, &Value)| {
        let short = match shape.member(key) {
            Shape::Whole => (*value).clone(),
            inner => fit(value, share, inner)?,
        };
        Some(((*key).clone(), short))
    };
    members.iter().map(one).collect()
}

/// The most that each of these may take so that together they fit, where the smaller ones leave room to the
/// larger ones.
fn share(sizes: &[usize], room: usize) -> usize {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (place, size) in sorted.iter().enumerate() {
        let each = left / (sorted.len() - place);
        if *size > each {
            return each;
        }
        left -= size;
    }
    room
}
