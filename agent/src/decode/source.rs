//! Files of recorded exchanges: opened, unpacked, told apart by their first bytes, read piece by piece.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use trackway_core::capture::{Broken, Exchange, har, recording};
use trackway_core::limits::CAPTURE_LINE_BYTES;

use super::Failure;
use crate::limits::ARCHIVE_BYTES;

/// First bytes of gzip (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes of the beginning that tell what a file is.
const START: usize = 4096;

/// The place of an exchange in its file, from one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) usize, Place);

#[derive(Clone, Copy, Debug)]
enum Place {
    Line,
    Entry,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.1 {
            Place::Line => "line",
            Place::Entry => "entry",
        };
        write!(f, "{place} {}", self.0)
    }
}

/// How a file is called: the last part of its path.
pub(super) fn name(file: &Path) -> String {
    if file.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

/// Reads a file; `each` is given every exchange, and every one that is broken, and says whether to go on.
pub(super) fn read(
    file: &Path,
    each: impl FnMut(Number, Result<Exchange, Broken>) -> bool,
) -> Result<(), Failure> {
    if file.as_os_str() == "-" { bytes(io::stdin().lock(), each) } else { bytes(File::open(file)?, each) }
}

fn bytes(
    source: impl Read,
    each: impl FnMut(Number, Result<Exchange, Broken>) -> bool,
) -> Result<(), Failure> {
    let (start, source) = peek(source, GZIP.len())?;
    if start == GZIP { plain(MultiGzDecoder::new(BufReader::new(source)), each) } else { plain(source, each) }
}

fn plain(
    source: impl Read,
    each: impl FnMut(Number, Result<Exchange, Broken>) -> bool,
) -> Result<(), Failure> {
    let (start, source) = peek(source, START)?;
    // A document that goes on after its first line's brace is no line of its own.
    let first = start.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let spread = first.is_some_and(|line| line.trim_ascii() == b"{");
    if har::begins(&start) || spread { archive(source, each) } else { lines(BufReader::new(source), each) }
}

/// The first bytes, and a reader that begins with them.
fn peek(mut source: impl Read, size: usize) -> io::Result<(Vec<u8>, impl Read)> {
    let mut start = Vec::new();
    source.by_ref().take(size as u64).read_to_end(&mut start)?;
    Ok((start.clone(), io::Cursor::new(start).chain(source)))
}

fn archive(
    source: impl Read,
    mut each: impl FnMut(Number, Result<Exchange, Broken>) -> bool,
) -> Result<(), Failure> {
    let mut file = Vec::new();
    let reading = source.take(ARCHIVE_BYTES + 1).read_to_end(&mut file);
    if file.len() as u64 > ARCHIVE_BYTES {
        return Err(Failure::Large);
    }
    let (mut number, mut on) = (0, true);
    let result = har::read(&file, |exchange| {
        number += 1;
        // What a sink no longer wants is still walked over, which costs little.
        on = on && each(Number(number, Place::Entry), exchange);
    });
    // A compressed file that breaks off: its beginning was read all the same.
    reading?;
    result?;
    Ok(())
}

fn lines(
    mut source: impl BufRead,
    mut each: impl FnMut(Number, Result<Exchange, Broken>) -> bool,
) -> Result<(), Failure> {
    let (mut number, mut found) = (0, false);
    let mut line = Vec::new();
    loop {
        line.clear();
        number += 1;
        let most = CAPTURE_LINE_BYTES as u64 + 1;
        let read = source.by_ref().take(most).read_until(b'\n', &mut line)?;
        if read == 0 {
            return if found { Ok(()) } else { Err(Failure::Empty) };
        }
        let exchange = if read as u64 == most && line.last() != Some(&b'\n') {
            source.skip_until(b'\n')?;
            Err(Broken::Long)
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            recording::read(&line)
        };
        found = true;
        if !each(Number(number, Place::Line), exchange) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn seen(file: &[u8]) -> (Vec<String>, Result<(), Failure>) {
        let mut out = Vec::new();
        let result = bytes(file, |number, exchange| {
            out.push(match exchange {
                Ok(exchange) => format!("{number} {}", exchange.head.target),
                Err(error) => format!("{number}: {error}"),
            });
            true
        });
        (out, result)
    }

    #[test]
    fn a_file_is_what_its_bytes_say() {
        let lines = b"\n{\"method\":\"GET\",\"path\":\"/a\"}\r\nx\n{\"method\":\"GET\",\"path\":\"/b\"}";
        let found = ["line 2 /a", "line 3: not JSON near column 1", "line 4 /b"];
        assert_eq!(seen(lines).0, found);
        let archive = b"\n{ \"log\" : {\"entries\": [{\"request\":{\"url\":\"http://h/c\"}}]}}";
        assert_eq!(seen(archive).0, ["entry 1 /c"]);
        let spread = b"{\n\"note\": 1, \"log\": {\"entries\": [{\"request\":{\"url\":\"http://h/c\"}}]}}";
        assert_eq!(seen(spread).0, ["entry 1 /c"]);
        let mut pack = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        pack.write_all(lines).unwrap();
        let packed = pack.finish().unwrap();
        // Two members, as appending to a log makes them.
        let twice = [packed.as_slice(), &packed].concat();
        assert_eq!(seen(&twice).0.len(), 6, "the second begins on the first's last line");
    }

    #[test]
    fn what_is_no_capture_is_said() {
        assert!(matches!(seen(b"").1, Err(Failure::Empty)));
        assert!(matches!(seen(b"\n \n").1, Err(Failure::Empty)));
        assert!(matches!(seen(b"{\"log\":{}}").1, Err(Failure::Broken(_))));
        let (found, result) = seen(b"{\"log\":{\"entries\":[{\"request\":{\"url\":\"http://h/c\"}},{\"requ");
        assert_eq!(found, ["entry 1 /c"]);
        assert!(matches!(result, Err(Failure::Broken(Broken::Cut))));
    }

    #[test]
    fn who_has_enough_is_given_no_more() {
        let mut count = 0;
        let file = b"{\"method\":\"GET\",\"path\":\"/a\"}\n{\"method\":\"GET\",\"path\":\"/b\"}\n";
        bytes(file.as_slice(), |_, _| {
            count += 1;
            false
        })
        .unwrap();
        assert_eq!(count, 1);
    }
}
