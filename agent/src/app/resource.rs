//! What every resource of a run says: the service, the host, the container, and what the operator adds.

use std::fs;

use trackway_core::names;
use trackway_core::telemetry::{Attribute, AttributeValue, Class, Resource};

use crate::limits::RESOURCE_ATTRIBUTES;
use crate::settings;

/// What `OTEL_RESOURCE_ATTRIBUTES` says. At most [`RESOURCE_ATTRIBUTES`].
pub(super) fn said(text: Option<&str>) -> Vec<(String, String)> {
    let mut pairs = text.map(settings::pairs).unwrap_or_default();
    pairs.truncate(RESOURCE_ATTRIBUTES);
    pairs
}

/// The shared attributes. What the operator says goes before what we find, but we stay who we are.
pub(super) fn of(service: String, said: Vec<(String, String)>) -> Resource {
    let host = nix::sys::utsname::uname()
        .map(|name| name.nodename().to_string_lossy().into_owned())
        .unwrap_or_default();
    let found = [
        (names::HOST_NAME, Some(host)),
        (names::OS_TYPE, Some("linux".to_owned())),
        (names::CONTAINER_ID, container(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default())),
    ];
    let ours = [
        (names::SERVICE_NAME, service),
        (names::SDK_NAME, "trackway".to_owned()),
        (names::SDK_LANGUAGE, "rust".to_owned()),
        (names::SDK_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut pairs: Vec<(String, String)> = ours.map(|(key, value)| (key.to_owned(), value)).into();
    let found = found.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    for (key, value) in said.into_iter().chain(found) {
        if !pairs.iter().any(|(other, _)| *other == key) {
            pairs.push((key, value));
        }
    }
    let attribute = |(key, value): (String, String)| Attribute {
        key: key.into(),
        value: AttributeValue::Text(value),
        class: Class::Plain,
    };
    Resource { attributes: pairs.into_iter().map(attribute).collect() }
}

/// The container that a cgroup path names: the last part that holds 64 hexadecimal digits and nothing else
/// but a runtime's name before and `.scope` behind (`docker-<id>.scope`, `cri-containerd-<id>.scope`, `<id>`).
pub(crate) fn container(cgroup: &str) -> Option<String> {
    let parts = cgroup.lines().flat_map(|line| line.rsplit('/'));
    let id = |part: &str| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        let whole = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        whole.then(|| id.to_owned())
    };
    parts.filter_map(id).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_by_their_cgroup() {
        let id = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
        for path in [
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("12:memory:/docker/{id}\n0::/docker/{id}"),
            format!("0::/system.slice/docker-{id}.scope/init"),
        ] {
            assert_eq!(container(&path).as_deref(), Some(id), "{path}");
        }
        assert_eq!(container("0::/user.slice/user-0.slice/session-1.scope"), None);
        assert_eq!(container("0::/"), None);
    }

    #[test]
    fn what_the_operator_says_goes_before_what_is_found() {
        let said = said(Some("deployment.environment.name=test%20bed, host.name=h,telemetry.sdk.name=x,=y"));
        let resource = of("shop".to_owned(), said);
        let get = |key: &str| {
            let all: Vec<_> = resource.attributes.iter().filter(|it| it.key == key).collect();
            assert!(all.len() < 2, "{key} twice");
            all.first().and_then(|it| it.value.as_text())
        };
        assert_eq!(get("deployment.environment.name"), Some("test bed"));
        assert_eq!((get(names::HOST_NAME), get(names::SERVICE_NAME)), (Some("h"), Some("shop")));
        assert_eq!(get(names::SDK_NAME), Some("trackway"));
    }
}
