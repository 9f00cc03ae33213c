//! Tiny functions, and some real ones, as bytes. A call of theirs may lead nowhere: only its address counts.

use super::*;
use crate::elf::Segment;
use crate::hook::Ok as Success;

/// Where the code lies in memory; in the file it is 0x400 further down.
const BASE: u64 = 0x1400;

const WRITE: Call = Call::plain("write", Kind::EnterWrite, false, Outcome::Int);
const READ: Call = Call::plain("read", Kind::EnterRead, false, Outcome::Int);

fn bytes(text: &str) -> Vec<u8> {
    text.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn probes(text: &str, call: &Call) -> Vec<Hook> {
    let bytes = bytes(text);
    let segment = Segment { address: BASE, offset: 0x1000, bytes: &bytes, executable: true };
    let code = Code { segments: vec![segment] };
    hooks(&code, Symbol { address: BASE, size: bytes.len() as u64 }, call).unwrap()
}

/// Distance from the entry, whether it fires on return, whether it is emulated, and for a `Leave` its answer.
type Short = (u64, bool, bool, Option<(Success, Place)>);

fn check(text: &str, call: &Call, expected: &[Short]) -> Vec<Hook> {
    let found = probes(text, call);
    let short = |hook: &Hook| {
        let answer = (hook.site.kind == Kind::Leave).then_some((hook.site.ok, hook.site.count));
        (hook.offset - 0x1000, hook.returning, hook.emulated, answer)
    };
    assert_eq!(found.iter().map(short).collect::<Vec<_>>(), expected, "{found:#?}");
    found
}

fn eax() -> Place {
    Place::Register32(word(RAX))
}

fn rax() -> Place {
    Place::Register64(word(RAX))
}

fn positive(place: Place) -> (Success, Place) {
    (Success::Positive(place), place)
}

#[test]
fn a_push_serves_the_entry_and_the_return_is_probed_where_it_stands() {
    // push rbp; mov rbp, rsp; call f; pop rbp; ret
    let text = "55 48 89 e5 e8 00 10 00 00 5d c3";
    let found = check(text, &WRITE, &[(0, false, true, None), (10, false, false, Some(positive(eax())))]);
    let site = found[0].site;
    assert_eq!(site.connection, Place::Register64(14));
    assert_eq!(site.buffer, Place::Register64(13));
    assert_eq!(site.length, Place::Register32(12));
}

/// Debian 12's `SSL_write`: the canary's jump after the result is the place that the measurements used.
#[test]
fn a_jump_after_the_result_serves_the_return() {
    let text = "48 83 ec 18 64 48 8b 04 25 28 00 00 00 48 89 44 24 08 31 c0 85 d2 78 2f 48 89 e1 48 63 d2 e8 fd fb ff \
        ff 85 c0 7e 03 8b 04 24 48 8b 54 24 08 64 48 2b 14 25 28 00 00 00 75 44 48 83 c4 18 31 d2 31 c9 31 f6 31 ff \
        c3 e8 f4 99 fe ff 48 8d 15 25 cf 04 00 be 46 08 00 00 48 8d 3d 12 c7 04 00 e8 dc a0 fe ff 31 c0 31 d2 be 0f \
        01 00 00 bf 14 00 00 00 e8 f9 9e fe ff b8 ff ff ff ff eb ac e8 ed ab fe ff";
    check(text, &WRITE, &[(0x16, false, true, None), (0x38, false, true, Some(positive(eax())))]);
}

/// The same shape as clang lays it out, and without anything emulated after the result is chosen: the jump that
/// chooses it has to do, and both its ways are understood.
#[test]
fn a_jump_that_chooses_the_result_tells_success_by_what_it_tests() {
    // sub rsp, 18h; js +…; lea rcx, [rsp+8]; call f; test eax, eax; jle 1f; mov eax, [rsp+8]; 1: add rsp, 18h; ret
    let text = "48 83 ec 18 48 8d 4c 24 08 e8 00 10 00 00 85 c0 7e 04 8b 44 24 08 48 83 c4 18 c3";
    let slot = Place::Memory32 { register: 19, offset: 8 };
    check(
        text,
        &WRITE,
        &[(9, false, true, None), (0x10, false, true, Some((Success::Positive(eax()), slot)))],
    );
}

#[test]
fn a_guard_that_reloads_the_canary_is_a_guard() {
    let text = "48 83 ec 18 64 48 8b 04 25 28 00 00 00 48 89 44 24 10 48 8d 4c 24 08 e8 22 00 00 00 85 c0 7e 04 8b 44 \
        24 08 64 48 8b 0c 25 28 00 00 00 48 3b 4c 24 10 75 05 48 83 c4 18 c3 e8 01 00 00 00";
    check(text, &READ, &[(0x17, false, true, None), (0x32, false, true, Some(positive(eax())))]);
}

/// GnuTLS 3.7's `gnutls_record_recv` ends by a jump to another function on the way that matters.
#[test]
fn a_tail_jump_is_probed_for_its_return() {
    let text = "48 83 ec 08 80 bf b8 06 00 00 00 48 89 d1 74 40 f6 87 68 11 00 00 01 74 17 48 89 f2 be 17 00 00 00 e8 \
        ea 71 05 00 48 98 48 83 c4 08 c3 0f 1f 00 44 8b 8f 70 07 00 00 48 89 f2 45 31 c0 be 17 00 00 00 48 83 c4 08 \
        e9 25 ee ff ff 0f 1f 44 00 00 8b 87 64 08 00 00 83 f8 03 74 b5 83 f8 06 74 b0 48 8b 05 79 81 1d 00 83 38 02 \
        7f 09 48 c7 c0 68 fe ff ff eb b3 41 b8 62 09 00 00 48 8d 0d 5e bc 12 00 31 c0 bf 03 00 00 00 48 8d 15 94 b6 \
        12 00 48 8d 35 3b b5 12 00 e8 b4 86 ff ff eb ce";
    let call = Call::plain("receive", Kind::EnterRead, true, Outcome::Long);
    check(
        text,
        &call,
        &[
            (0x0e, false, true, None),
            (0x2c, false, false, Some(positive(rax()))),
            (0x46, true, true, Some(positive(rax()))),
        ],
    );
}

#[test]
fn a_place_that_a_loop_comes_back_to_is_no_entry() {
    // sub rsp, 8; 1: call f; test eax, eax; js 1b; add rsp, 8; ret
    let text = "48 83 ec 08 e8 b8 00 00 00 85 c0 78 f7 48 83 c4 08 c3";
    check(text, &WRITE, &[(0, false, false, None), (17, false, false, Some(positive(eax())))]);
}

/// sub rsp, 18h; call f; mov [rsp+8], eax; call g; mov eax, [rsp+8]; add rsp, 18h; ret
const LATE: &str = "48 83 ec 18 e8 a6 00 00 00 89 44 24 08 e8 9e 00 00 00 8b 44 24 08 48 83 c4 18 c3";

#[test]
fn a_write_may_be_over_before_its_last_call() {
    let slot = Place::Memory32 { register: 19, offset: 8 };
    check(LATE, &WRITE, &[(4, false, true, None), (0x0d, false, true, Some(positive(slot)))]);
}

#[test]
fn a_read_is_not_over_before_its_last_call_which_may_fill_the_buffer() {
    check(LATE, &READ, &[(4, false, true, None), (0x1a, false, false, Some(positive(eax())))]);
}

#[test]
fn a_slot_whose_address_is_given_away_is_not_known_after_a_call() {
    // As above with lea rdi, [rsp+8] before call g.
    let text =
        "48 83 ec 18 e8 8b 00 00 00 89 44 24 08 48 8d 7c 24 08 e8 7e 00 00 00 8b 44 24 08 48 83 c4 18 c3";
    check(text, &WRITE, &[(4, false, true, None), (0x1f, false, false, Some(positive(eax())))]);
}

#[test]
fn arguments_are_followed_to_where_they_are_kept() {
    // sub rsp, 28h; mov [rsp+8], rdi; mov [rsp+10h], rsi; mov r12, rdx; xor edi, edi; xor esi, esi; jmp 1f;
    // 1: mov rax, r12; add rsp, 28h; ret
    let text = "48 83 ec 28 48 89 7c 24 08 48 89 74 24 10 49 89 d4 31 ff 31 f6 eb 00 4c 89 e0 48 83 c4 28 c3";
    let site = probes(text, &WRITE)[0].site;
    assert_eq!(site.connection, Place::Memory64 { register: 19, offset: 8 });
    assert_eq!(site.buffer, Place::Memory64 { register: 19, offset: 16 });
    assert_eq!(site.length, Place::Register32(12));
}

#[test]
fn a_lost_argument_leaves_the_entry() {
    // sub rsp, 28h; mov rdi, rdx; xor esi, esi; jmp 1f; 1: mov eax, edx; add rsp, 28h; ret
    let text = "48 83 ec 28 48 89 d7 31 f6 eb 00 89 d0 48 83 c4 28 c3";
    let edx = Place::Register32(word(RDX));
    check(text, &WRITE, &[(0, false, false, None), (9, false, true, Some(positive(edx)))]);
}

#[test]
fn a_jump_through_a_table_leaves_the_ends_unknown() {
    // sub rsp, 8; call f; jmp [rax*8+table]; ret
    let text = "48 83 ec 08 e8 00 10 00 00 ff 24 c5 00 20 00 00 48 83 c4 08 c3";
    let found = probes(text, &WRITE);
    assert!(found.iter().all(|hook| hook.offset == 0x1000), "{found:#?}");
}

#[test]
fn what_frees_needs_no_return() {
    // test rdi, rdi; je …
    check("48 85 ff 74 01 c3 c3", &Call::free("free"), &[(3, false, true, None)]);
}
