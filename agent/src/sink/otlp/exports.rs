//! What is sent to collectors: traces, metrics, in which names and sizes.

use std::time::Duration;

use trackway_core::metrics::Temporality;
use trackway_core::telemetry::Content;

use super::settings::{Error, Settings, Signal};
use crate::settings as names;
use crate::sink::limits;
use crate::sink::shape::Shape;

/// Everything that goes out.
#[derive(Clone, Debug)]
pub struct Exports {
    /// Where spans go, if they go.
    pub traces: Option<Settings>,
    /// Where metrics go, if they go.
    pub metrics: Option<Metering>,
    /// How much is shown.
    pub policy: Content,
    /// In which names and sizes.
    pub shape: Shape,
}

/// Where metrics go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metering {
    /// The collector.
    pub settings: Settings,
    /// How often.
    pub interval: Duration,
    /// Sums since the beginning or since the last report.
    pub temporality: Temporality,
}

impl Exports {
    /// Reads what the command line (`url`) and the environment ask for; `None` where it is nothing.
    ///
    /// `OTEL_TRACES_EXPORTER=none` counts only where the environment names the collector: who writes `--otlp`
    /// asks for the trace.
    pub fn read(
        url: Option<&str>,
        policy: Content,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let traces = match variable(names::TRACES_EXPORTER) {
            Some(exporter) if url.is_none() && exporter.trim() == "none" => None,
            _ => Settings::read(Signal::Traces, url, &variable)?,
        };
        let metrics = if wants_metrics(&variable) {
            match Settings::read(Signal::Metrics, url, &variable)? {
                Some(settings) => Some(Metering {
                    settings,
                    interval: interval(&variable)?,
                    temporality: temporality(&variable)?,
                }),
                None => None,
            }
        } else {
            None
        };
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let shape = Shape { attribute_bytes: attribute_bytes(&variable)?, ..Shape::default() };
        Ok(Some(Self { traces, metrics, policy, shape }))
    }
}

/// Whether metrics go anywhere.
pub fn wants_metrics(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable(names::METRICS_EXPORTER).is_none_or(|exporter| exporter.trim() != "none")
}

/// The limit of the environment; the one for spans is the stronger.
fn attribute_bytes(variable: impl Fn(&str) -> Option<String>) -> Result<Option<usize>, Error> {
    let set = names::VALUE_LENGTHS.into_iter().find_map(|name| Some((name, variable(name)?)));
    let Some((name, value)) = set else { return Ok(None) };
    match value.trim().parse() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(Error::Value { name: name.to_owned(), value, takes: "a number of bytes" }),
    }
}

fn interval(variable: impl Fn(&str) -> Option<String>) -> Result<Duration, Error> {
    let name = names::METRIC_INTERVAL;
    match variable(name) {
        None => Ok(limits::METRIC_INTERVAL),
        Some(value) => match value.trim().parse() {
            Ok(0) | Err(_) => {
                Err(Error::Value { name: name.to_owned(), value, takes: "milliseconds above 0" })
            }
            Ok(ms) => Ok(Duration::from_millis(ms)),
        },
    }
}

fn temporality(variable: impl Fn(&str) -> Option<String>) -> Result<Temporality, Error> {
    let name = names::TEMPORALITY;
    match variable(name) {
        None => Ok(Temporality::Cumulative),
        Some(value) => match value.trim().to_ascii_lowercase().as_str() {
            "cumulative" => Ok(Temporality::Cumulative),
            // They differ for instruments only that we have none of.
            "delta" | "lowmemory" => Ok(Temporality::Delta),
            _ => Err(Error::Value { name: name.to_owned(), value, takes: "cumulative, delta or lowmemory" }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317");

    fn read(url: Option<&str>, env: &[(&str, &str)]) -> Result<Option<Exports>, Error> {
        Exports::read(url, Content::Full, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_signal_can_be_left_out() {
        let check = |url, env: &[(&str, &str)], expect: Option<(bool, bool)>| {
            let found = read(url, env).unwrap();
            assert_eq!(
                found.map(|it| (it.traces.is_some(), it.metrics.is_some())),
                expect,
                "{url:?} {env:?}"
            );
        };
        let (no_traces, no_metrics) = (("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"));
        check(None, &[], None);
        check(None, &[ALL], Some((true, true)));
        check(None, &[ALL, no_metrics], Some((true, false)));
        check(None, &[ALL, no_traces], Some((false, true)));
        check(None, &[ALL, no_traces, no_metrics], None);
        check(Some("http://c:4317"), &[no_traces], Some((true, true)));
        check(None, &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:4317")], Some((false, true)));
        check(None, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:4317")], Some((true, false)));
    }

    #[test]
    fn how_long_values_may_be() {
        let limit = |env: &[(&str, &str)]| {
            let all: Vec<_> = env.iter().copied().chain([ALL]).collect();
            read(None, &all).map(|it| it.unwrap().shape.attribute_bytes)
        };
        let (spans, all) =
            (("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "2048"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "99"));
        assert_eq!(limit(&[]), Ok(None));
        assert_eq!(limit(&[all]), Ok(Some(99)));
        assert_eq!(limit(&[all, spans]), Ok(Some(2048)));
        assert!(limit(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "much")]).is_err());
    }

    #[test]
    fn when_and_how_metrics_are_told() {
        let metering = |env: &[(&str, &str)]| {
            let all: Vec<_> = env.iter().copied().chain([ALL]).collect();
            read(None, &all).map(|it| {
                let metering = it.unwrap().metrics.unwrap();
                (metering.interval.as_millis(), metering.temporality)
            })
        };
        assert_eq!(metering(&[]), Ok((60_000, Temporality::Cumulative)));
        let set = [
            ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA"),
        ];
        assert_eq!(metering(&set), Ok((250, Temporality::Delta)));
        assert!(metering(&[("OTEL_METRIC_EXPORT_INTERVAL", "0")]).is_err());
        let error = metering(&[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "some")]).unwrap_err();
        assert!(error.to_string().contains("cumulative, delta or lowmemory"), "{error}");
    }
}
