//! Where the members of the outermost object stand, and the elements of its arrays.

use std::ops::Range;

use crate::limits;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Bodies are bounded far below 4 GiB; a place beyond that is an empty one.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end.max(self.start) as usize
    }
}

/// A member of the outermost object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Its name, quotes included.
    pub(crate) key: Span,
    pub(crate) value: Span,
    /// Its elements in [`Index::elements`], where it is an array.
    pub(crate) elements: Range<usize>,
}

/// The index, as far as it was built.
#[derive(Debug, Default)]
pub(crate) struct Index {
    shape: Option<Shape>,
    members: Vec<Member>,
    elements: Vec<Span>,
    key: Option<Span>,
    /// After the colon.
    valued: bool,
    /// Where the value at the first level began.
    value: Option<usize>,
    /// Whether that value is an array, and where its elements begin.
    list: Option<usize>,
    /// Where the element at the second level (at the first of an array) began.
    element: Option<usize>,
    whole: bool,
    /// Members or elements that were not indexed.
    left_out: bool,
}

/// What is left of the text when something too long is taken back.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) end: usize,
    /// Whether the array is to be closed there.
    pub(crate) close: bool,
}

impl Index {
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.shape
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(crate) fn left_out(&self) -> bool {
        self.left_out
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn elements(&self) -> &[Span] {
        &self.elements
    }

    /// A value of any kind begins.
    pub(super) fn begin(&mut self, depth: u64, place: usize) {
        match (self.shape, depth) {
            (Some(Shape::Object), 1) if self.valued && self.value.is_none() => self.value = Some(place),
            (Some(Shape::Object), 2) if self.list.is_some() && self.element.is_none() => {
                self.element = Some(place);
            }
            (Some(Shape::Array), 1) if self.element.is_none() => self.element = Some(place),
            _ => {}
        }
    }

    /// A bracket opens.
    pub(super) fn open(&mut self, depth: u64, place: usize, byte: u8) {
        if depth == 0 {
            self.shape = Some(if byte == b'{' { Shape::Object } else { Shape::Array });
            return;
        }
        let fresh = self.value.is_none();
        self.begin(depth, place);
        if depth == 1 && byte == b'[' && fresh && self.value.is_some() {
            self.list = Some(self.elements.len());
        }
    }

    /// A string was read.
    pub(super) fn string(&mut self, depth: u64, span: Span) {
        if depth == 1 && self.shape == Some(Shape::Object) && !self.valued {
            self.key = Some(span);
        }
    }

    pub(super) fn colon(&mut self) {
        self.valued = true;
    }

    /// A comma on the first or second level.
    pub(super) fn comma(&mut self, depth: u64, place: usize) {
        match (self.shape, depth) {
            (Some(Shape::Object), 1) => self.member(place),
            (Some(Shape::Object), 2) | (Some(Shape::Array), 1) => self.end_element(place),
            _ => {}
        }
    }

    /// A bracket closes, down to `depth`; false where it is of the other kind.
    pub(super) fn close(&mut self, depth: u64, place: usize, byte: u8) -> bool {
        let array = byte == b']';
        match (self.shape, depth) {
            (Some(Shape::Object), 0) => {
                self.member(place);
                self.whole = true;
                !array
            }
            (Some(Shape::Array), 0) => {
                self.end_element(place);
                self.whole = true;
                array
            }
            (Some(Shape::Object), 1) if self.list.is_some() => {
                self.end_element(place);
                array
            }
            _ => true,
        }
    }

    fn end_element(&mut self, place: usize) {
        if let Some(start) = self.element.take() {
            if self.elements.len() < limits::PARTS {
                self.elements.push(Span::new(start, place));
            } else {
                self.left_out = true;
            }
        }
    }

    fn member(&mut self, place: usize) {
        let (key, value, list) = (self.key.take(), self.value.take(), self.list.take());
        self.valued = false;
        self.element = None;
        let (Some(key), Some(value)) = (key, value) else { return };
        if self.members.len() >= limits::MEMBERS {
            self.left_out = true;
            return;
        }
        let elements = list.map_or(0..0, |from| from..self.elements.len());
        self.members.push(Member { key, value: Span::new(value, place), elements });
    }

    /// Takes back what is not whole.
    pub(super) fn cut(&mut self, length: usize, depth: u64) -> Kept {
        self.left_out = true;
        if self.shape == Some(Shape::Array) {
            let end = self.element.take().unwrap_or(length);
            return Kept { end, close: false };
        }
        // An array whose elements were kept so far.
        if depth >= 2
            && let (Some(from), Some(value)) = (self.list, self.value)
        {
            self.element = None;
            let end =
                self.elements.get(from..).and_then(<[Span]>::last).map_or(value + 1, |it| it.range().end);
            let place = end + 1;
            self.member(place);
            return Kept { end, close: true };
        }
        let start = self.key.take().map(|key| key.range().start).or(self.value).unwrap_or(length);
        (self.value, self.list, self.element, self.valued) = (None, None, None, false);
        Kept { end: start, close: false }
    }

    /// The document ended here, whole or not.
    pub(super) fn end(&mut self, place: usize, whole: bool) {
        if self.whole || self.shape.is_none() {
            self.whole = whole;
            return;
        }
        // Elements that are whole are worth having; a value that broke off is not.
        if let (Some(from), Some(value), Some(key)) = (self.list, self.value, self.key)
            && from < self.elements.len()
        {
            let elements = from..self.elements.len();
            self.members.push(Member { key, value: Span::new(value, place), elements });
        }
    }

    pub(super) fn take_elements(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.elements)
    }

    /// Forgets the text before the element that is being read; gives how much that is.
    pub(super) fn rebase(&mut self, length: usize) -> usize {
        match &mut self.element {
            Some(start) => std::mem::take(start),
            None => length,
        }
    }
}
