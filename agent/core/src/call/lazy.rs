//! What the wire said at length: read when somebody asks, once.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;

/// A list that is made from pieces of the wire when it is first looked at.
///
/// A request repeats the whole history of its conversation. Most of it nobody looks at twice, so it stays
/// what it was: reference-counted bytes.
#[derive(Clone)]
pub struct Lazy<T> {
    pieces: Vec<Bytes>,
    read: fn(&[Bytes]) -> Vec<T>,
    value: OnceLock<Vec<T>>,
}

impl<T> Lazy<T> {
    /// From pieces, and the way to read any run of them.
    pub fn new(pieces: Vec<Bytes>, read: fn(&[Bytes]) -> Vec<T>) -> Self {
        Self { pieces, read, value: OnceLock::new() }
    }

    /// How many pieces the wire had; known without reading them.
    pub fn pieces(&self) -> usize {
        if self.pieces.is_empty() { self.len() } else { self.pieces.len() }
    }

    /// The first item for which `found` gives something, reading no more pieces than it takes.
    pub fn find_first<R>(&self, mut found: impl FnMut(&T) -> Option<R>) -> Option<R> {
        if self.value.get().is_some() || self.pieces.is_empty() {
            return self.iter().find_map(found);
        }
        self.pieces
            .iter()
            .find_map(|piece| (self.read)(std::slice::from_ref(piece)).iter().find_map(&mut found))
    }

    /// The last item for which `found` gives something, reading no more pieces than it takes.
    pub fn find_last<R>(&self, mut found: impl FnMut(&T) -> Option<R>) -> Option<R> {
        if self.value.get().is_some() || self.pieces.is_empty() {
            return self.iter().rev().find_map(found);
        }
        self.pieces
            .iter()
            .rev()
            .find_map(|piece| (self.read)(std::slice::from_ref(piece)).iter().rev().find_map(&mut found))
    }
}

impl<T> Deref for Lazy<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        self.value.get_or_init(|| (self.read)(&self.pieces))
    }
}

impl<T> From<Vec<T>> for Lazy<T> {
    fn from(value: Vec<T>) -> Self {
        Self { pieces: Vec::new(), read: |_| Vec::new(), value: OnceLock::from(value) }
    }
}

impl<T, U> PartialEq<U> for Lazy<T>
where
    U: AsRef<[T]>,
    T: PartialEq,
{
    fn eq(&self, other: &U) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl<T> AsRef<[T]> for Lazy<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: fmt::Debug> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
