//! `trackway export`: one run for other programs.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use trackway_core::telemetry::Content;

use super::{Error, har, open, pick, print};
use crate::cli::Export;
use crate::sink::{limits, translate};
use crate::store::{Store, Stored, Summary};

/// Writes the run. Returns the exit code.
pub fn run(options: &Export) -> i32 {
    print(|out| {
        let store = open(&options.place)?;
        let run = pick(&store, &options.run)?;
        let policy = options.content.map_or(Content::Full, Into::into);
        let write = |out: &mut dyn Write| match options.har {
            true => har::archive(&store, &run, policy, out),
            false => lines(&store, &run, policy, out),
        };
        let Some(path) = &options.output else {
            write(out)?;
            return Ok(0);
        };
        // Content goes into it: it is its owner's alone.
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let mut file = BufWriter::new(file.map_err(failed)?);
        write(&mut file)?;
        file.flush().map_err(failed)?;
        Ok(0)
    })
}

/// The run as JSON lines: one request for as many spans as a collector takes at once.
pub(super) fn lines(store: &Store, run: &Summary, policy: Content, out: &mut dyn Write) -> Result<(), Error> {
    let mut batch: Vec<Stored> = Vec::new();
    let mut bytes = 0;
    let mut written = Ok(());
    store.spans(run.id, policy, true, |stored| {
        bytes += prost::Message::encoded_len(&stored.span);
        batch.push(stored);
        if batch.len() >= limits::BATCH_SPANS || bytes >= limits::BATCH_BYTES {
            bytes = 0;
            written = line(std::mem::take(&mut batch), out);
        }
        written.is_ok()
    })?;
    written?;
    if batch.is_empty() { Ok(()) } else { line(batch, out) }
}

/// One line.
pub(super) fn line(spans: Vec<Stored>, out: &mut dyn Write) -> Result<(), Error> {
    let mut groups: Vec<(Resource, Vec<Span>)> = Vec::new();
    for Stored { span, resource } in spans {
        match groups.iter_mut().find(|(known, _)| *known == *resource) {
            Some((_, spans)) => spans.push(span),
            None => groups.push(((*resource).clone(), vec![span])),
        }
    }
    let groups =
        groups.into_iter().map(|(resource, spans)| translate::group(resource, spans, translate::SCHEMA_URL));
    serde_json::to_writer(&mut *out, &ExportTraceServiceRequest { resource_spans: groups.collect() })?;
    out.write_all(b"\n")?;
    Ok(())
}
