//! Which sinks a run has, and how much each may show.

use std::path::PathBuf;

use trackway_core::telemetry::Content;

use crate::cli::Run;
use crate::settings;
use crate::sink::Sink;

/// Why an output cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Opens the outputs that the options and the environment name.
pub(super) fn open(options: &Run, local_only: bool) -> Result<Vec<Box<dyn Sink>>, Error> {
    let _local = local(options);
    Ok(Vec::new())
}

/// What the file and the terminal show.
pub(super) fn local(options: &Run) -> Content {
    options.content.map_or(Content::Full, Into::into)
}

/// What a collector gets.
pub(super) fn remote(options: &Run, capture: Option<&str>) -> Content {
    match (options.content, capture.map(str::to_ascii_lowercase).as_deref()) {
        (Some(show), _) => show.into(),
        (None, Some("true" | "span_only" | "span_and_event")) => Content::Full,
        (None, _) => Content::Metadata,
    }
}

/// Whether a collector is named by the environment
/// (OpenTelemetry, "Environment Variable Specification" and "OTLP exporter configuration").
pub(super) fn collector(env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if set(settings::SDK_DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return false;
    }
    if set(settings::TRACES_EXPORTER).is_some_and(|value| !value.split(',').any(|one| one.trim() == "otlp")) {
        return false;
    }
    settings::ENDPOINTS.into_iter().any(|name| set(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Show;

    #[test]
    fn content_follows_the_flag_then_the_variable() {
        let unset = Run::default();
        let none = Run { content: Some(Show::None), ..Run::default() };
        assert_eq!(local(&unset), Content::Full);
        assert_eq!(local(&none), Content::None);
        assert_eq!(remote(&unset, None), Content::Metadata);
        assert_eq!(remote(&unset, Some("true")), Content::Full);
        assert_eq!(remote(&unset, Some("SPAN_AND_EVENT")), Content::Full);
        assert_eq!(remote(&unset, Some("EVENT_ONLY")), Content::Metadata);
        assert_eq!(remote(&unset, Some("NO_CONTENT")), Content::Metadata);
        assert_eq!(remote(&none, Some("true")), Content::None);
    }

    #[test]
    fn the_standard_variables_turn_the_collector_on() {
        let check = |set: &[(&str, &str)], expect: bool| {
            let env =
                |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(collector(env), expect, "{set:?}");
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
        check(&[], false);
        check(&[endpoint], true);
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x:4318/v1/traces")], true);
        check(&[endpoint, ("OTEL_SDK_DISABLED", "true")], false);
        check(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], false);
        check(&[endpoint, ("OTEL_TRACES_EXPORTER", "console,otlp")], true);
        check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false);
    }
}
