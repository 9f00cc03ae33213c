//! Who stands below whom among processes.

use std::collections::HashMap;

/// All that stands below a process, parents first. `all` is every process with its parent.
pub fn below(all: impl IntoIterator<Item = (u32, u32)>, root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, parent) in all {
        children.entry(parent).or_default().push(pid);
    }
    let mut order = Vec::new();
    let (mut next, mut at) = (Some(root), 0);
    while let Some(parent) = next {
        // Taken out, so that nothing is met twice, whatever changed while they were listed.
        order.extend(children.remove(&parent).unwrap_or_default());
        next = order.get(at).copied();
        at += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn children_come_after_their_parents_and_once() {
        let all = [(2, 1), (3, 2), (4, 2), (5, 4), (6, 1), (7, 8), (8, 7)];
        assert_eq!(below(all, 2), [3, 4, 5]);
        assert_eq!(below(all, 7), [8, 7]);
        assert!(below(all, 5).is_empty());
    }
}
