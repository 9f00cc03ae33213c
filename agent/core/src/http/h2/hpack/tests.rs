use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Error> {
    let mut fields = Vec::new();
    decoder.decode(block, |Field { name, value }| {
        let (name, value) = (name.unwrap(), value.unwrap());
        fields.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
    })?;
    Ok(fields)
}

/// The three requests of RFC 7541, appendix C.3 and C.4.
fn check_requests(blocks: [&str; 3]) {
    let mut decoder = Decoder::default();
    let expect = [
        (vec![":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"], 57),
        (
            vec![
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com",
                "cache-control: no-cache",
            ],
            110,
        ),
        (
            vec![
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value",
            ],
            164,
        ),
    ];
    for (block, (fields, size)) in blocks.into_iter().zip(expect) {
        assert_eq!(decode(&mut decoder, &hex(block)).unwrap(), fields);
        assert_eq!(decoder.size, size);
    }
}

#[test]
fn appendix_c_3_plain_requests() {
    check_requests([
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ]);
}

#[test]
fn appendix_c_4_huffman_requests() {
    check_requests([
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ]);
}

/// The responses of appendix C.5 and C.6, with a table of 256 octets that evicts.
fn check_responses(blocks: [&str; 3]) {
    let mut decoder = Decoder { max: 256, ..Decoder::default() };
    let date = |second| format!("date: Mon, 21 Oct 2013 20:13:{second} GMT");
    let (location, private) = ("location: https://www.example.com", "cache-control: private");
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let first = date(21);
    let expect = [
        (vec![":status: 302".to_owned(), private.to_owned(), first.clone(), location.to_owned()], 222),
        (vec![":status: 307".to_owned(), private.to_owned(), first, location.to_owned()], 222),
        (
            vec![
                ":status: 200".to_owned(),
                private.to_owned(),
                date(22),
                location.to_owned(),
                "content-encoding: gzip".to_owned(),
                cookie.to_owned(),
            ],
            215,
        ),
    ];
    for (block, (fields, size)) in blocks.into_iter().zip(expect) {
        assert_eq!(decode(&mut decoder, &hex(block)).unwrap(), fields);
        assert_eq!(decoder.size, size);
    }
}

#[test]
fn appendix_c_5_plain_responses() {
    check_responses([
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470\
         733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b\
         48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ]);
}

#[test]
fn appendix_c_6_huffman_responses() {
    check_responses([
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82\
         ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5\
         af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ]);
}

#[test]
fn sizes_are_granted_by_the_receiver() {
    let mut decoder = Decoder::default();
    // 8192 before it is granted, and after.
    let update = hex("3fe13f");
    assert_eq!(decode(&mut decoder, &update), Err(Error::Size));
    decoder.grant(8192);
    assert_eq!(decode(&mut decoder, &update), Ok(vec![]));
    assert_eq!(decoder.max, 8192);
    decode(&mut decoder, &hex("400a637573746f6d2d6b65790c637573746f6d2d76616c7565")).unwrap();
    assert_eq!(decoder.entries.len(), 1);
    decode(&mut decoder, &hex("20")).unwrap();
    assert_eq!((decoder.entries.len(), decoder.size), (0, 0));
    decoder.grant(u32::MAX);
    assert_eq!(decoder.granted, limits::HPACK_TABLE_BYTES);
}

#[test]
fn broken_blocks() {
    let check = |block: &str, error| assert_eq!(decode(&mut Decoder::default(), &hex(block)), Err(error));
    check("80", Error::Index);
    check("be", Error::Index);
    check("ffffffffffff7f", Error::Integer);
    check("ff", Error::Truncated);
    check("400a6375", Error::Truncated);
    // EOS, then padding that is too long, then padding of zeros.
    check("0084ffffffff", Error::Huffman);
    check("00821fff", Error::Huffman);
    check("008118", Error::Huffman);
}

#[test]
fn huffman_knows_every_octet() {
    let mut encoder = fluke_hpack::Encoder::new();
    let all: Vec<u8> = (0..=255).collect();
    let block = encoder.encode([(&b"x"[..], all.as_slice())]);
    let mut seen = Vec::new();
    Decoder::default().decode(&block, |field| seen = field.value.unwrap().to_vec()).unwrap();
    assert_eq!(seen, all);
    // Some codes of the appendix by hand: five zeros, 00011, 1111111000, 1111111111001.
    for (coded, plain) in [("07", "0"), ("1f", "a"), ("fe3f", "!"), ("ffcf", "$")] {
        let mut out = Vec::new();
        assert!(huffman::decode(&hex(coded), &mut out));
        assert_eq!(out, plain.as_bytes());
    }
}

const UNKNOWN: u8 = 0xff;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever another encoder says, this decoder understands.
    #[test]
    fn same_as_another_encoder(
        blocks in prop::collection::vec(
            prop::collection::vec(("[a-e]{1,3}", prop::collection::vec(any::<u8>(), 0..40)), 0..8), 1..12,
        ),
    ) {
        let mut encoder = fluke_hpack::Encoder::new();
        let mut decoder = Decoder::default();
        for fields in blocks {
            let block = encoder.encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())));
            let mut seen = Vec::new();
            decoder.decode(&block, |Field { name, value }| {
                let (name, value) = (name.unwrap(), value.unwrap());
                seen.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            }).unwrap();
            prop_assert_eq!(seen, fields);
        }
    }

    #[test]
    fn random_blocks_are_survived(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let _outcome = decode(&mut decoder, &block);
            prop_assert!(decoder.size <= decoder.max);
        }
    }

    /// Joined at any block: what a decoder that saw everything would take from before is unknown, all else known.
    #[test]
    fn joined_at_any_block(
        blocks in prop::collection::vec(
            prop::collection::vec(("[a-e]{1,2}|:path|date", prop::collection::vec(0u8..3, 0..4)), 0..8), 1..12,
        ),
        sizes in prop::collection::vec(prop::option::weighted(0.2, 0usize..300), 12),
        at in 0usize..12,
    ) {
        let mut encoder = fluke_hpack::Encoder::new();
        let (mut whole, mut late) = (Decoder::default(), Decoder::late());
        for (number, (fields, size)) in blocks.iter().zip(sizes).enumerate() {
            let mut block = Vec::new();
            if let Some(size) = size {
                encoder.set_max_table_size(size);
                block = match size {
                    ..31 => vec![0x20 | size as u8],
                    31..159 => vec![0x3f, (size - 31) as u8],
                    _ => vec![0x3f, 0x80 | ((size - 31) % 128) as u8, ((size - 31) / 128) as u8],
                };
            }
            block.extend(encoder.encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()))));
            if number == at {
                for entry in &mut whole.entries {
                    // As long as before, so that it is evicted when it would have been.
                    let length = entry.size() - ENTRY_OVERHEAD;
                    *entry = Entry { name: None, value: vec![UNKNOWN; length.max(1)] };
                }
                whole.size = whole.entries.iter().map(Entry::size).sum();
            }
            let mut expect = Vec::new();
            whole.decode(&block, |Field { name, value }| {
                let before = value.is_some_and(|value| value.first() == Some(&UNKNOWN));
                expect.push((name.map(<[u8]>::to_vec), value.filter(|_| !before).map(<[u8]>::to_vec)));
            }).unwrap();
            if number >= at {
                let mut seen = Vec::new();
                late.decode(&block, |Field { name, value }| {
                    seen.push((name.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec)));
                }).unwrap();
                prop_assert_eq!(seen, expect);
            }
        }
    }
}
