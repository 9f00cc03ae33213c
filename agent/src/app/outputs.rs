//! Which sinks a run has, and how much each may show.

use std::io;

use trackway_core::overlay::Overlays;
use trackway_core::telemetry::Content;

use crate::cli::{Output, Semconv};
use crate::settings;
use crate::sink::Sink;
use crate::sink::console::{Console, Look};
use crate::sink::file::{self, File};
use crate::sink::otlp::exports::{Exports, wants_metrics};
use crate::sink::otlp::settings::Error as SettingsError;
use crate::sink::otlp::{self, Otlp};
use crate::sink::store::Store;
use crate::store::{Keep, limits, place};

/// Why an output cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] file::Error),
    /// What was said of the collector makes no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The exporter cannot start.
    #[error(transparent)]
    Otlp(#[from] otlp::Error),
    /// The store's thread cannot start.
    #[error("cannot start the store's thread: {0}")]
    Store(#[source] io::Error),
}

impl Error {
    /// Whether the command line is at fault.
    pub fn usage(&self) -> bool {
        matches!(self, Error::Settings(_))
    }
}

/// Opens the outputs that the options and the environment name. `local` leaves out collectors.
pub(super) fn open(options: &Output, local: bool) -> Result<Vec<Box<dyn Sink>>, Error> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let content = remote(options, settings::get(settings::CAPTURE_CONTENT).as_deref());
    if !local && let Some(mut exports) = Exports::read(options.otlp.as_deref(), content, settings::get)? {
        exports.shape.overlays = overlays(&options.semconv);
        exports.shape.attribute_bytes = options.attribute_bytes.or(exports.shape.attribute_bytes);
        sinks.push(Box::new(Otlp::start(&exports)?));
    }
    if let Some(path) = &options.otlp_file {
        sinks.push(Box::new(File::open(path, here(options), wants_metrics(settings::get))?));
    }
    if let Some(path) = place::of(options.store.as_deref()).filter(|_| !options.no_store) {
        let keep = Keep {
            days: options.store_days.unwrap_or(limits::DAYS),
            bytes: options.store_bytes.unwrap_or(limits::BYTES),
        };
        sinks.push(Box::new(Store::start(path, here(options), keep).map_err(Error::Store)?));
    }
    if !options.quiet {
        let mut look = Look::stderr(settings::get);
        look.color &= !options.no_color;
        sinks.push(Box::new(Console::new(Box::new(io::stderr()), here(options), look)));
    }
    Ok(sinks)
}

/// What the names on the command line stand for.
fn overlays(names: &[Semconv]) -> Overlays {
    Overlays {
        genai_01: names.contains(&Semconv::Genai01),
        openinference: names.contains(&Semconv::Openinference),
        legacy: names.contains(&Semconv::Legacy),
    }
}

/// What the file, the store and the terminal show.
fn here(options: &Output) -> Content {
    options.content.map_or(Content::Full, Into::into)
}

/// What a collector gets.
fn remote(options: &Output, capture: Option<&str>) -> Content {
    match (options.content, capture.map(str::to_ascii_lowercase).as_deref()) {
        (Some(show), _) => show.into(),
        (None, Some("true" | "span_only" | "span_and_event")) => Content::Full,
        (None, _) => Content::Metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::HowMuch;

    #[test]
    fn content_follows_the_flag_then_the_variable() {
        let unset = Output::default();
        let none = Output { content: Some(HowMuch::None), ..Output::default() };
        assert_eq!(here(&unset), Content::Full);
        assert_eq!(here(&none), Content::None);
        assert_eq!(remote(&unset, None), Content::Metadata);
        assert_eq!(remote(&unset, Some("true")), Content::Full);
        assert_eq!(remote(&unset, Some("SPAN_AND_EVENT")), Content::Full);
        assert_eq!(remote(&unset, Some("EVENT_ONLY")), Content::Metadata);
        assert_eq!(remote(&unset, Some("NO_CONTENT")), Content::Metadata);
        assert_eq!(remote(&none, Some("true")), Content::None);
    }
}
