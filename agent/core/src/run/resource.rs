//! The resource of an observed process.

use std::sync::Arc;

use super::Identity;
use super::attributes::Attributes;
use super::process::Image;
use crate::flow::Time;
use crate::names;
use crate::process::ProcessKey;
use crate::telemetry::{Resource, TraceId};

/// The run's shared attributes with those of one process. An operator's own service name stays.
pub(super) fn of(identity: &Identity, key: Option<ProcessKey>, image: Option<&Image>) -> Arc<Resource> {
    let mut set = Attributes(identity.resource.attributes.clone());
    if !set.0.iter().any(|attribute| attribute.key == names::SERVICE_NAME) {
        set.plain(names::SERVICE_NAME, identity.name.as_str());
    }
    set.plain(names::SERVICE_INSTANCE_ID, instance(identity.trace, key));
    if let Some(key) = key {
        set.int(names::PROCESS_PID, key.pid);
        set.plain(names::PROCESS_CREATION_TIME, iso8601(key.started));
    }
    match image {
        Some(image) => {
            set.maybe(names::PROCESS_EXECUTABLE, Some(image.name()));
            set.maybe(names::PROCESS_COMMAND, image.argv.first().map(String::as_str));
        }
        None if key == identity.root => {
            set.maybe(names::PROCESS_COMMAND, identity.command.first().map(String::as_str));
        }
        None => {}
    }
    Arc::new(Resource { attributes: set.0 })
}

/// A UUID (version 8 of RFC 9562: bits of our own making) that is the same for every sighting.
fn instance(trace: TraceId, key: Option<ProcessKey>) -> String {
    let (pid, started) = key.map_or((0, 0), |key| (key.pid, key.started.0));
    let TraceId(mut bytes) =
        TraceId::derive(&[b"instance", &trace.0, &pid.to_le_bytes(), &started.to_le_bytes()]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = TraceId(bytes).to_string();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
}

/// `2026-11-23T12:00:00.123Z`. Civil date by counting 400-year eras from March 1st of year 0.
fn iso8601(time: Time) -> String {
    let (seconds, millis) = (time.0 / 1_000_000_000, time.0 / 1_000_000 % 1000);
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let (day, month) =
        (day - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_calendar_says() {
        assert_eq!(iso8601(Time(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(Time(951_782_400_000_000_000)), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso8601(Time(1_795_435_199_999_000_000)), "2026-11-23T11:59:59.999Z");
    }
}
