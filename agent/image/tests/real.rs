//! Files that are on the machine: what a distribution ships, and the clients that `cargo xtask setup` installs.
//! One that is absent is skipped, and said so.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::path::{Path, PathBuf};

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Mnemonic};
use trackway_image::{Hook, Image, Kind, Library, Method, Ok, Place, Tls, look};

fn open(path: impl AsRef<Path>) -> Option<(Vec<u8>, Image)> {
    let path = path.as_ref();
    let Result::Ok(file) = std::fs::read(path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let image = look(&file, |_| None).unwrap();
    for hook in image.libraries.iter().flat_map(|tls| &tls.hooks) {
        stands(&file, hook);
    }
    Some((file, image))
}

/// Holds what a hook claims against the bytes: the place is reached from the function's start instruction by
/// instruction, and is of a kind that kernels emulate exactly if it says so.
fn stands(file: &[u8], hook: &Hook) {
    let start = usize::try_from(hook.symbol_offset).unwrap();
    let mut decoder = Decoder::with_ip(64, &file[start..], hook.symbol_offset, DecoderOptions::NONE);
    let instruction = decoder.iter().find(|instruction| instruction.ip() >= hook.offset).unwrap();
    assert_eq!(instruction.ip(), hook.offset, "{hook:?}");
    let relative = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch | FlowControl::Call
    );
    let push = instruction.mnemonic() == Mnemonic::Push && instruction.op0_register().is_gpr64();
    let emulated = relative || push || matches!(instruction.code(), Code::Nopd);
    assert_eq!(emulated, hook.emulated, "{instruction} {hook:?}");
}

fn only(image: &Image, library: Library) -> &Tls {
    let [tls] = image.libraries.as_slice() else { panic!("{image:#?}") };
    assert_eq!(tls.library, library);
    tls
}

/// Each function with what its hooks are for.
fn kinds(tls: &Tls) -> Vec<(&'static str, Kind)> {
    let mut kinds: Vec<_> = tls.hooks.iter().map(|hook| (hook.function, hook.site.kind)).collect();
    kinds.dedup();
    kinds
}

fn setup(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/.setup").join(path)
}

#[test]
fn openssl_of_the_distribution() {
    let Some((_, image)) = open("/usr/lib/x86_64-linux-gnu/libssl.so.3") else { return };
    let tls = only(&image, Library::OpenSsl);
    assert_eq!((tls.method, tls.version.as_deref()), (Method::Dynsym, Some("3")));
    assert!(image.build_id.is_some() && image.refused.is_empty());
    // Programs in C++ use it, which throw.
    assert!(tls.hooks.iter().all(|hook| !hook.returning), "{tls:#?}");
    // The `_ex` forms have nothing after the result that is emulated.
    let counted = |hook: &Hook| hook.site.kind == Kind::Leave && hook.function.ends_with("_ex");
    assert!(tls.hooks.iter().all(|hook| hook.emulated || counted(hook)), "{tls:#?}");
    assert!(tls.hooks.iter().all(|hook| !hook.function.contains("peek")));
    for (kind, plain) in [(Kind::EnterWrite, "SSL_write"), (Kind::EnterRead, "SSL_read")] {
        let enters: Vec<_> = tls.hooks.iter().filter(|hook| hook.site.kind == kind).collect();
        assert!(enters.iter().any(|hook| hook.function == plain));
        assert_eq!(enters.len(), 2, "{enters:#?}");
    }
    assert!(kinds(tls).contains(&("SSL_free", Kind::Free)));
}

#[test]
fn gnutls_of_the_distribution() {
    let Some((_, image)) = open("/usr/lib/x86_64-linux-gnu/libgnutls.so.30") else { return };
    let tls = only(&image, Library::GnuTls);
    let enters = |kind| tls.hooks.iter().filter(move |hook| hook.site.kind == kind).collect::<Vec<_>>();
    // The one that sends calls the other: a probe on both would count twice.
    assert_eq!(enters(Kind::EnterWrite).len(), 1, "{tls:#?}");
    assert_eq!(enters(Kind::EnterRead).len(), 1, "{tls:#?}");
    assert!(enters(Kind::EnterWrite)[0].emulated && enters(Kind::EnterRead)[0].emulated, "{tls:#?}");
    assert!(kinds(tls).contains(&("gnutls_deinit", Kind::Free)));
}

#[test]
fn node() {
    let Some((_, image)) = open("/usr/bin/node") else { return };
    let tls = only(&image, Library::OpenSsl);
    assert!(tls.version.as_deref().is_some_and(|version| version.starts_with("3.")), "{:?}", tls.version);
    for wanted in [
        ("SSL_write", Kind::EnterWrite),
        ("SSL_read", Kind::EnterRead),
        ("SSL_write", Kind::Leave),
        ("SSL_read", Kind::Leave),
        ("SSL_free", Kind::Free),
    ] {
        assert!(kinds(tls).contains(&wanted), "{wanted:?}");
    }
    assert!(tls.hooks.iter().all(|hook| !hook.returning), "{tls:#?}");
    assert!(tls.hooks.iter().all(|hook| hook.emulated || hook.site.kind == Kind::Leave), "{tls:#?}");
}

#[test]
fn a_stripped_bun() {
    let path = setup("node/node_modules/opencode-linux-x64-baseline/bin/opencode");
    let Some((_, image)) = open(path) else { return };
    let tls = only(&image, Library::BoringSsl);
    assert_eq!(tls.method, Method::CrossReference);
    let expected = [
        ("SSL_write", Kind::EnterWrite),
        ("SSL_write", Kind::Leave),
        ("SSL_read", Kind::EnterRead),
        ("SSL_read", Kind::Leave),
    ];
    assert_eq!(kinds(tls), expected);
    assert!(tls.hooks.iter().all(|hook| hook.emulated), "{tls:#?}");
}

/// Codex speaks TLS by rustls, and has an OpenSSL linked in besides.
#[test]
fn a_stripped_codex() {
    let path = "node/node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex";
    let Some((_, image)) = open(setup(path)) else { return };
    let refused = image.refused.iter().find(|refusal| refusal.library == Some(Library::Rustls));
    assert!(refused.is_some_and(|refusal| refusal.reason.starts_with("rustls 0.")), "{image:#?}");
    let tls = only(&image, Library::OpenSsl);
    assert_eq!(tls.method, Method::CrossReference);
    // The inner functions, which serve the forms that have no text of their own.
    assert!(tls.hooks.iter().all(|hook| hook.emulated), "{tls:#?}");
    let enters = tls.hooks.iter().filter(|hook| hook.site.kind != Kind::Leave);
    assert_eq!(enters.filter(|hook| hook.site.out != Place::None).count(), 2, "{tls:#?}");
}

/// What a Python of its own kind is: OpenSSL linked in, without symbols, used by the `_ex` forms alone.
#[test]
fn an_openssl_without_symbols() {
    let source = "#include <openssl/ssl.h>\nint main(void) { size_t n; char b[9]; SSL *s = SSL_new(SSL_CTX_new(\
        TLS_client_method())); return SSL_write_ex(s, b, 9, &n) + SSL_read_ex(s, b, 9, &n); }";
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("main.c"), folder.path().join("main"));
    std::fs::write(&input, source).unwrap();
    let mut compile = std::process::Command::new("cc");
    compile.args(["-O1", "-s", "-o"]).args([&output, &input]);
    compile.args(["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-lpthread", "-ldl"]);
    if !compile.output().is_ok_and(|compiled| compiled.status.success()) {
        println!("skipped: no cc with the static library of OpenSSL");
        return;
    }
    let (_, image) = open(&output).unwrap();
    let tls = only(&image, Library::OpenSsl);
    assert_eq!(tls.method, Method::CrossReference);
    let enters: Vec<_> = tls.hooks.iter().filter(|hook| hook.site.kind != Kind::Leave).collect();
    let kinds: Vec<_> = enters.iter().map(|hook| hook.site.kind).collect();
    assert_eq!(kinds, [Kind::EnterWrite, Kind::EnterRead]);
    assert!(enters.iter().all(|hook| hook.site.out != Place::None), "{tls:#?}");
}

/// The `go` command speaks TLS itself.
#[test]
fn go() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let go = std::env::split_paths(&path).map(|folder| folder.join("go")).find(|path| path.is_file());
    let Some((file, image)) = go.and_then(open) else {
        println!("skipped: no go on the path");
        return;
    };
    let tls = only(&image, Library::Go);
    assert_eq!(tls.method, Method::Pclntab);
    assert!(tls.version.is_some());
    assert!(tls.hooks.iter().all(|hook| !hook.returning && hook.site.thread == Place::Register64(1)));
    for function in ["Write", "Read"].map(|name| format!("crypto/tls.(*Conn).{name}")) {
        let hooks: Vec<_> = tls.hooks.iter().filter(|hook| hook.function == function).collect();
        let (enter, leaves) = hooks.split_first().unwrap();
        assert!(enter.emulated && enter.offset > enter.symbol_offset, "{enter:?}");
        assert_eq!(enter.site.connection, Place::Register64(10));
        assert_eq!(enter.site.buffer, Place::Register64(5));
        assert_eq!(enter.site.length, Place::Register64(11));
        assert!(leaves.iter().all(|leave| leave.site.kind == Kind::Leave));
        assert!(
            leaves
                .iter()
                .all(|leave| matches!(leave.site.ok, Ok::Positive(place) if place == leave.site.count))
        );
        for leave in leaves.iter().filter(|leave| !leave.emulated) {
            assert_eq!(file[usize::try_from(leave.offset).unwrap()], 0xc3, "{leave:?}");
        }
    }
}

#[test]
fn other_machines_are_refused() {
    let Result::Ok(mut file) = std::fs::read("/usr/lib/x86_64-linux-gnu/libssl.so.3") else {
        println!("skipped: no libssl.so.3");
        return;
    };
    // For arm64, then for a machine of 32 bits.
    for (at, byte) in [(18, 0xb7), (4, 1)] {
        file[at] = byte;
        let image = look(&file, |_| None).unwrap();
        assert!(image.libraries.is_empty());
        assert_eq!(image.refused.len(), 1);
        assert_eq!(image.refused[0].reason, "only x86-64 code can be read");
    }
}

/// Symbols may live in the debug file alone: here the executable with its names spoilt, and itself as that file.
#[test]
fn a_debug_file_is_asked_for_by_build_id() {
    let Some((file, image)) = open("/usr/bin/node") else { return };
    let mut spoilt = file.clone();
    let names: Vec<usize> = memchr::memmem::find_iter(&spoilt, b"\0SSL_").collect();
    for at in names {
        spoilt[at + 1] = b'X';
    }
    assert!(look(&spoilt, |_| None).unwrap().libraries.is_empty());
    let mut asked = None;
    let again = look(&spoilt, |id| {
        asked = Some(id.to_vec());
        Some(file.clone())
    });
    let again = again.unwrap();
    assert_eq!(again.build_id, asked);
    assert_eq!(only(&again, Library::OpenSsl).hooks, only(&image, Library::OpenSsl).hooks);
    assert_eq!(only(&again, Library::OpenSsl).method, Method::DebugFile);
    // The file of another build is not believed.
    let Some((other, _)) = open("/usr/lib/x86_64-linux-gnu/libssl.so.3") else { return };
    assert!(look(&spoilt, |_| Some(other)).unwrap().libraries.is_empty());
}
