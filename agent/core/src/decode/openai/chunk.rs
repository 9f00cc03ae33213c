//! A chunk of a stream in the shape that nearly every one has, read without building a tree or asking for memory.
//!
//! What has another shape is refused here, and read as any JSON: errors, counts, lists of parts, custom tools,
//! several choices or calls at once, names with escapes, and whatever comes next. So this file may be strict.
//!
//! Values are written where they belong instead of being handed up: moving them cost more than reading them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::decode::json::Text;

/// A chunk that holds nothing but deltas.
#[derive(Debug, Default)]
pub(super) struct Chunk<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    pub(super) tier: Option<&'a str>,
    pub(super) fingerprint: Option<&'a str>,
    pub(super) choice: Option<Choice<'a>>,
    /// Whether there was a list of choices.
    listed: bool,
}

/// What one chunk says of one choice.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    pub(super) index: Option<u64>,
    pub(super) reason: Option<&'a str>,
    pub(super) delta: Delta<'a>,
}

/// A piece of a message.
#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    pub(super) role: Option<&'a str>,
    pub(super) content: Option<Text<'a>>,
    pub(super) reasoning: [Option<Text<'a>>; 2],
    pub(super) refusal: Option<Text<'a>>,
    pub(super) call: Option<Fragment<'a>>,
}

/// A piece of a tool call.
#[derive(Debug, Default)]
pub(super) struct Fragment<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<&'a str>,
    pub(super) function: Function<'a>,
}

/// The function of a tool call.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) arguments: Option<Text<'a>>,
}

impl<'a> Chunk<'a> {
    /// The chunk, where it has this shape and no other.
    pub(super) fn read(data: &'a str) -> Option<Self> {
        let mut chunk = Self::default();
        let mut json = serde_json::Deserializer::from_str(data);
        Object(&mut chunk).deserialize(&mut json).ok()?;
        json.end().ok()?;
        chunk.listed.then_some(chunk)
    }
}

/// What is filled member by member.
trait Fill<'a>: Default {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

impl<'a> Fill<'a> for Chunk<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" => self.id = map.next_value()?,
            "model" => self.model = map.next_value()?,
            "service_tier" => self.tier = map.next_value()?,
            "system_fingerprint" => self.fingerprint = map.next_value()?,
            "choices" => {
                self.listed = true;
                map.next_value_seed(One(&mut self.choice))?;
            }
            "usage" | "x_groq" | "error" => absent(map)?,
            _ => ignored(map)?,
        }
        Ok(())
    }
}

impl<'a> Fill<'a> for Choice<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "index" => self.index = map.next_value()?,
            "finish_reason" => self.reason = map.next_value()?,
            "delta" => map.next_value_seed(Object(&mut self.delta))?,
            "usage" | "message" => absent(map)?,
            _ => ignored(map)?,
        }
        Ok(())
    }
}

impl<'a> Fill<'a> for Delta<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let [first, second] = &mut self.reasoning;
        match key {
            "role" => self.role = map.next_value()?,
            "content" => self.content = map.next_value()?,
            "reasoning_content" => *first = map.next_value()?,
            "reasoning" => *second = map.next_value()?,
            "refusal" => self.refusal = map.next_value()?,
            "tool_calls" => map.next_value_seed(One(&mut self.call))?,
            "function_call" | "executed_tools" => absent(map)?,
            _ => ignored(map)?,
        }
        Ok(())
    }
}

impl<'a> Fill<'a> for Fragment<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "index" => self.index = map.next_value()?,
            "id" => self.id = map.next_value()?,
            "function" => map.next_value_seed(Object(&mut self.function))?,
            "custom" => absent(map)?,
            _ => ignored(map)?,
        }
        Ok(())
    }
}

impl<'a> Fill<'a> for Function<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "name" => self.name = map.next_value()?,
            "arguments" => self.arguments = map.next_value()?,
            _ => ignored(map)?,
        }
        Ok(())
    }
}

/// A value that must be `null`.
fn absent<'a, A: MapAccess<'a>>(map: &mut A) -> Result<(), A::Error> {
    match map.next_value::<Option<IgnoredAny>>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("another shape")),
    }
}

fn ignored<'a, A: MapAccess<'a>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// An object, to be written into its place.
struct Object<'s, T>(&'s mut T);

impl<'a, T: Fill<'a>> DeserializeSeed<'a> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a, T: Fill<'a>> Visitor<'a> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        // Of two members of one name the last counts, whole.
        *self.0 = T::default();
        while let Some(key) = map.next_key::<&str>()? {
            self.0.member(key, &mut map)?;
        }
        Ok(())
    }
}

/// A list of at most one object, or `null`.
struct One<'s, T>(&'s mut Option<T>);

impl<'a, T: Fill<'a>> DeserializeSeed<'a> for One<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_option(self)
    }
}

impl<'a, T: Fill<'a>> Visitor<'a> for One<'_, T> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of one object")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        *self.0 = None;
        Ok(())
    }

    fn visit_some<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        if list.next_element_seed(Object(self.0.insert(T::default())))?.is_none() {
            *self.0 = None;
        } else if list.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("more than one"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chunk;
    use crate::decode::json::Text;

    #[test]
    fn the_usual_chunk_is_read() {
        let chunk = Chunk::read(
            r#"{"id":"c","model":"m","choices":[{"index":2,"delta":{"role":null,"content":"a\n","tool_calls":[
                {"index":0,"id":"t","custom":null,"function":{"name":"f","arguments":"\"b\""}}]},"logprobs":null}],
                "usage":null,"created":1}"#,
        )
        .unwrap();
        assert_eq!((chunk.id, chunk.model, chunk.tier), (Some("c"), Some("m"), None));
        let choice = chunk.choice.unwrap();
        assert_eq!((choice.index, choice.reason, choice.delta.role), (Some(2), None, None));
        assert_eq!(Text::get(choice.delta.content.as_ref()), Some("a\n"));
        let call = choice.delta.call.unwrap();
        assert_eq!((call.index, call.id, call.function.name), (Some(0), Some("t"), Some("f")));
        assert_eq!(Text::get(call.function.arguments.as_ref()), Some("\"b\""));
        assert!(Chunk::read(r#"{"choices":[]}"#).unwrap().choice.is_none());
        // Of two members of one name the last counts, as in any JSON.
        let chunk = Chunk::read(r#"{"choices":[{"index":1}],"choices":[{"delta":{"role":"a"},"delta":{}}]}"#);
        let choice = chunk.unwrap().choice.unwrap();
        assert_eq!((choice.index, choice.delta.role), (None, None));
    }

    #[test]
    fn what_has_another_shape_is_refused() {
        for other in [
            r#"{"id":"c"}"#,
            r#"{"choices":[{"delta":{}},{"delta":{}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0},{"index":1}]}}]}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"text"}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"custom":{"name":"f"}}]}}]}"#,
            r#"{"choices":[{"delta":{"function_call":{}}}]}"#,
            r#"{"choices":[{"delta":{},"usage":{}}]}"#,
            r#"{"choices":[],"usage":{}}"#,
            r#"{"choices":[],"error":{}}"#,
            r#"{"choices":[],"id":"\u0063"}"#,
            r#"{"choices":[]} more"#,
            r#"[]"#,
        ] {
            assert!(Chunk::read(other).is_none(), "{other}");
        }
    }
}
