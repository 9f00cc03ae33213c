use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const S: Direction = Direction::ToClient;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// What is found once all slices were seen, and in which of them.
fn find(slices: &[&[u8]]) -> Option<(usize, Vec<u8>)> {
    let mut finder = Finder::default();
    for (index, slice) in slices.iter().enumerate() {
        let bytes = Bytes::copy_from_slice(slice);
        let found = finder.push(Piece { direction: S, gap: 0, bytes, time: Time(0) }, 99);
        assert!(finder.size <= limits::LATE_BYTES && finder.held.len() <= limits::LATE_PIECES);
        if let Some(found) = found {
            assert!(finder.held.is_empty());
            return Some((index, found.iter().flat_map(|piece| piece.bytes.to_vec()).collect()));
        }
    }
    None
}

#[test]
fn a_slice_of_frames() {
    let ping = frame(6, 0, 0, &[7; 8]);
    let data = frame(0, 1, 5, b"data: x");
    assert_eq!(find(&[&ping]), Some((0, ping.clone())));
    assert_eq!(find(&[&data]), Some((0, data.clone())));
    // One header alone is too little: the next slice decides.
    let (head, tail) = data.split_at(12);
    assert_eq!(find(&[head]), None);
    assert_eq!(find(&[head, tail]), Some((1, data.clone())));
    assert_eq!(find(&[head, &ping]), Some((1, ping.clone())));
    // Behind the end of another frame, two are enough where the slice ends with them.
    assert_eq!(find(&[&[tail, &ping[..]].concat()]), None);
    let two = [&ping[..], &data].concat();
    assert_eq!(find(&[&[tail, &two[..]].concat()]), Some((0, two)));
}

#[test]
fn long_frames_that_no_slice_ends_with() {
    let stream = frame(0, 0, 5, &[0xaa; 16 * 1024]).repeat(5);
    let slices: Vec<_> = stream.chunks(16 * 1024).collect();
    let (index, found) = find(&slices).unwrap();
    assert!(index < 4 && stream.starts_with(&found));
    // Seen from the middle of one, no slice begins with a frame.
    assert_eq!(find(&slices[1..]), None);
}

#[test]
fn what_is_no_frame() {
    let no = |bytes: Vec<u8>| assert_eq!(find(&[&bytes]), None, "{bytes:?}");
    no(b"data: {\"choices\":[]}\n\n".to_vec());
    no(vec![0; 100]);
    no(frame(0, 0, 4, b"an even stream"));
    no(frame(0, 0x10, 1, b"an unknown flag"));
    no(frame(3, 0, 1, b"a reset that is too long"));
    no(frame(8, 0, 0, &[0; 4]));
    no(frame(9, 4, 1, b"a continuation of nothing"));
    no(frame(1, 0, 1, b"a block that goes on and does not"));
    no([frame(1, 0, 1, b"block"), frame(0, 0, 1, b"data")].concat());
    assert!(find(&[&[frame(1, 0, 1, b"block"), frame(9, 4, 1, b"more")].concat()]).is_some());
}

#[test]
fn what_is_held_is_bounded() {
    // A frame that would be a megabyte long, in slices that begin like others.
    let slice = [&[0x0f, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0xff; 4000]].concat();
    let mut slices = vec![slice.as_slice(); 300];
    let ping = frame(6, 0, 0, &[7; 8]);
    slices.push(&ping);
    assert_eq!(find(&slices), Some((300, ping.clone())));
    let tiny = [&[0x0f, 0, 0][..]; 300];
    assert_eq!(find(&tiny), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_found_in_noise(slices in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..6)) {
        let slices: Vec<_> = slices.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(find(&slices), None);
    }
}
