//! Where the store is.

use std::path::{Path, PathBuf};

use crate::settings;

/// Root's own.
const SYSTEM: &str = "/var/lib/trackway/runs.db";
/// In the folder of a user's state.
const NAME: &str = "trackway/runs.db";

/// The file: what the option or the environment names, else the user's own. `None` where there is to be none, or no
/// home to put it in.
pub fn of(option: Option<&Path>) -> Option<PathBuf> {
    choose(option, nix::unistd::geteuid().is_root(), settings::get)
}

fn choose(option: Option<&Path>, root: bool, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let named = option.map(Path::to_owned).or_else(|| variable(settings::STORE).map(PathBuf::from));
    if let Some(named) = named {
        return (named.as_os_str() != "none").then_some(named);
    }
    if root {
        return Some(PathBuf::from(SYSTEM));
    }
    // The specification of base directories: a path that is not absolute is ignored.
    let state = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")));
    Some(state?.join(NAME))
}

/// What to do next where nothing is stored: runs under `sudo` are root's.
pub(super) fn hint(path: &Path) -> &'static str {
    let root = nix::unistd::geteuid().is_root();
    match Path::new(SYSTEM).parent().is_some_and(Path::exists) {
        true if !root && path != Path::new(SYSTEM) => {
            "; runs that were started with sudo are root's: sudo trackway runs"
        }
        _ => "; make one: trackway run -- COMMAND, or trackway demo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_the_variable_and_then_the_users_own() {
        let variable = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1.to_owned())
        };
        let check = |option: Option<&str>, root, pairs, expect: Option<&str>| {
            assert_eq!(choose(option.map(Path::new), root, variable(pairs)), expect.map(PathBuf::from));
        };
        check(Some("a.db"), true, &[("TRACKWAY_STORE", "b.db")], Some("a.db"));
        check(None, true, &[("TRACKWAY_STORE", "b.db")], Some("b.db"));
        check(None, false, &[("TRACKWAY_STORE", "none"), ("HOME", "/h")], None);
        check(None, true, &[("HOME", "/root")], Some("/var/lib/trackway/runs.db"));
        check(None, false, &[("HOME", "/h")], Some("/h/.local/state/trackway/runs.db"));
        check(None, false, &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")], Some("/s/trackway/runs.db"));
        check(
            None,
            false,
            &[("HOME", "/h"), ("XDG_STATE_HOME", "s")],
            Some("/h/.local/state/trackway/runs.db"),
        );
        check(None, false, &[], None);
    }
}
