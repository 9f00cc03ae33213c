//! HTTP Archive 1.2, as browsers, proxies and test tools write it (<http://www.softwareishard.com/blog/har-12-spec/>).
//!
//! The writers differ: names of fields in any case, pseudo fields of HTTP/2 among them, bodies as text, in
//! base64 or left out, forms as `params`, numbers in quotes, a status of 0 where no answer came. Only the
//! request's URL is demanded; what else is missing is unknown.

mod entry;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Broken, Exchange};
use crate::limits;

/// Whether a file that begins so is an archive, as far as its beginning tells: an object whose first member
/// is `log`.
pub fn begins(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let mut rest = start.trim_ascii_start();
    for token in [b"{".as_slice(), b"\"log\"", b":"] {
        match rest.strip_prefix(token) {
            Some(after) => rest = after.trim_ascii_start(),
            None => return false,
        }
    }
    true
}

/// Reads a file; `each` is given every entry in order. An error is one of the whole file: entries that came
/// before the place where it is broken were given.
pub fn read(file: &[u8], mut each: impl FnMut(Result<Exchange, Broken>)) -> Result<(), Broken> {
    let text = String::from_utf8_lossy(file);
    let text = text.trim_start_matches('\u{feff}');
    let mut entries = Entries { each: &mut each, count: 0, many: false, log: false };
    let mut json = serde_json::Deserializer::from_str(text);
    let result = Root(&mut entries).deserialize(&mut json).and_then(|()| json.end());
    match result {
        _ if entries.many => Err(Broken::Many),
        Err(error) => Err(Broken::new(&error, SHAPE)),
        Ok(()) if !entries.log => Err(Broken::Shape(SHAPE)),
        Ok(()) => Ok(()),
    }
}

const SHAPE: &str = "an HTTP archive has log.entries";

/// What has been found so far.
struct Entries<'f> {
    each: &'f mut dyn FnMut(Result<Exchange, Broken>),
    count: usize,
    many: bool,
    log: bool,
}

/// Walks to `log`, then to `entries`, one entry at a time, so that no second copy of the file is made.
struct Root<'e, 'f>(&'e mut Entries<'f>);
struct Log<'e, 'f>(&'e mut Entries<'f>);
struct List<'e, 'f>(&'e mut Entries<'f>);

macro_rules! seed {
    ($name:ident, $ask:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, '_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.$ask(self)
            }
        }
    };
}
seed!(Root, deserialize_map);
seed!(Log, deserialize_map);
seed!(List, deserialize_seq);

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "log" {
                map.next_value_seed(Log(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Log<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" {
                self.0.log = true;
                map.next_value_seed(List(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element::<&'de RawValue>()? {
            if self.0.count >= limits::CAPTURE_ENTRIES {
                self.0.many = true;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
            self.0.count += 1;
            (self.0.each)(entry::read(raw.get()));
        }
        Ok(())
    }
}
