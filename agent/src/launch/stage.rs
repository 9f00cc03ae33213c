//! `trackway __stage …`: the first image of the command's process.
//!
//! It joins the cgroup, makes the private view of the file system, gives the signals back and becomes the
//! command. A whole process image of its own, because nothing of this may allocate or lock between `fork` and
//! `exec` of a threaded parent. What it cannot do it reports and goes on: the command runs in any case.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::execvpe;

use super::Plan;
use super::signals::{self, Original};
use crate::descriptor::adopt;

/// The hidden verb.
pub const VERB: &str = "__stage";

/// One line from the stage to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report<'a> {
    /// Something could not be done.
    Note(&'a str),
    /// The command could not be executed: the error number.
    Exec(i32),
}

impl<'a> Report<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        match line.split_once(' ')? {
            ("note", text) => Some(Report::Note(text)),
            ("exec", number) => number.parse().ok().map(Report::Exec),
            _ => None,
        }
    }
}

/// The plan as arguments: a word, its operands, and the command after `--`. Paths and values need not be UTF-8.
pub(super) fn arguments(plan: &Plan, report: RawFd, original: &Original) -> Vec<OsString> {
    let mut out: Vec<OsString> = vec![VERB.into(), report.to_string().into()];
    out.push(format!("{:x}", original.unblock).into());
    out.push(u8::from(original.pipe_ignored).to_string().into());
    out.push(u8::from(original.child_ignored).to_string().into());
    if let Some(cgroup) = &plan.cgroup {
        out.extend(["cgroup".into(), cgroup.into()]);
    }
    for (files, directory) in &plan.overlays {
        out.extend(["overlay".into(), files.into(), directory.into()]);
    }
    for (file, target) in &plan.binds {
        out.extend(["bind".into(), file.into(), target.into()]);
    }
    for (name, value) in &plan.variables {
        out.extend(["set".into(), name.clone(), value.clone()]);
    }
    out.push("--".into());
    out.extend(plan.command.iter().cloned());
    out
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<(Plan, RawFd, Original)> {
    let mut number = |radix| u64::from_str_radix(args.next()?.to_str()?, radix).ok();
    let report = RawFd::try_from(number(10)?).ok()?;
    let original =
        Original { unblock: number(16)?, pipe_ignored: number(10)? != 0, child_ignored: number(10)? != 0 };
    let mut plan = Plan::default();
    loop {
        match args.next()?.to_str()? {
            "cgroup" => plan.cgroup = Some(args.next()?.into()),
            "overlay" => plan.overlays.push((args.next()?.into(), args.next()?.into())),
            "bind" => plan.binds.push((args.next()?.into(), args.next()?.into())),
            "set" => plan.variables.push((args.next()?, args.next()?)),
            "--" => break,
            _ => return None,
        }
    }
    plan.command = args.collect();
    (!plan.command.is_empty()).then_some((plan, report, original))
}

/// Becomes the command. Only returns, with an exit code, where that failed.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    let Some((plan, report, original)) = parse(args) else { return 125 };
    // From here on the parent sees the end of this pipe when the command's image is in place.
    let Ok(report) = adopt(report) else { return 125 };
    let mut report = File::from(report);
    let mut notes = Vec::new();
    if let Some(cgroup) = &plan.cgroup
        && let Err(error) = fs::write(cgroup.join("cgroup.procs"), "0")
    {
        notes.push(format!("cannot join {}: {error}; the command is not seen", cgroup.display()));
    }
    if !(plan.overlays.is_empty() && plan.binds.is_empty()) {
        lay(&plan, &mut notes);
    }
    for note in notes {
        writeln!(report, "note {}", note.replace('\n', " ")).ok();
    }
    let errno = become_command(&plan, original);
    writeln!(report, "exec {errno}").ok();
    125
}

/// Lays files over the system's in a mount namespace of our own. Later mounts of the host still arrive
/// (`MS_SLAVE`), ours never reach the host.
fn lay(plan: &Plan, notes: &mut Vec<String>) {
    let none = None::<&Path>;
    let private = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none));
    if let Err(error) = private {
        notes.push(format!(
            "no private mount namespace ({error}): the system's certificate store stays as it is"
        ));
        return;
    }
    for (files, directory) in &plan.overlays {
        // Without an upper layer: nothing that the command does can reach through.
        let options =
            [b"lowerdir=", files.as_os_str().as_bytes(), b":", directory.as_os_str().as_bytes()].concat();
        let kind = Some("overlay");
        if let Err(error) =
            mount(kind, directory, kind, MsFlags::MS_RDONLY, Some(OsStr::from_bytes(&options)))
        {
            tracing::debug!(%error, directory = %directory.display(), "no overlay");
        }
    }
    for (file, target) in &plan.binds {
        if let Err(error) = mount(Some(file), target, none, MsFlags::MS_BIND, none) {
            notes.push(format!("cannot lay over {}: {error}", target.display()));
        }
    }
}

/// Replaces this image. The environment keeps its order; changed variables keep their place.
fn become_command(plan: &Plan, original: Original) -> i32 {
    let (Some(command), Some(environment)) = (strings(plan.command.iter().cloned()), environment(plan))
    else {
        return libc::EINVAL;
    };
    let Some(file) = command.first() else { return libc::EINVAL };
    if let Err(error) = signals::restore(original) {
        return error.raw_os_error().unwrap_or(libc::EINVAL);
    }
    match execvpe(file, &command, &environment) {
        Ok(never) => match never {},
        Err(errno) => errno as i32,
    }
}

fn environment(plan: &Plan) -> Option<Vec<CString>> {
    let mut new = plan.variables.clone();
    let mut out = Vec::new();
    for (name, mut value) in std::env::vars_os() {
        if let Some(position) = new.iter().position(|(changed, _)| *changed == name) {
            value = new.remove(position).1;
        }
        out.push(pair(name, &value));
    }
    out.extend(new.into_iter().map(|(name, value)| pair(name, &value)));
    strings(out.into_iter())
}

fn pair(mut name: OsString, value: &OsStr) -> OsString {
    name.push("=");
    name.push(value);
    name
}

fn strings(words: impl Iterator<Item = OsString>) -> Option<Vec<CString>> {
    words.map(|word| CString::new(word.into_vec()).ok()).collect()
}
