//! By which ways the calls of a run came.

use crate::flow::Plane;

/// The planes that brought calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planes {
    redirect: bool,
    explicit: bool,
    tap: bool,
}

impl Planes {
    /// A call came by this one.
    pub(super) fn add(&mut self, plane: Plane) {
        match plane {
            Plane::Redirect => self.redirect = true,
            Plane::Explicit => self.explicit = true,
            Plane::Tap(_) => self.tap = true,
        }
    }

    /// Their names, always in the same order.
    pub(super) fn names(self) -> Vec<String> {
        let all = [
            (self.redirect, Plane::Redirect),
            (self.explicit, Plane::Explicit),
            (self.tap, Plane::Tap(None)),
        ];
        all.into_iter().filter(|(there, _)| *there).map(|(_, plane)| plane.name().to_owned()).collect()
    }
}
