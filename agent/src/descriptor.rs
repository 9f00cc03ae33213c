//! File descriptors that cross `exec`, between images of this binary.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Whether a descriptor survives `exec`.
pub fn inherit(fd: &impl AsFd, survives: bool) -> io::Result<()> {
    let flags = if survives { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Takes a descriptor over that an earlier image of this binary left open for us. Must be called before
/// anything else opens files, once for each number.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number comes from the image before us, which left it open and told only us of it;
    // where that is not so, every use of it gives EBADF and nothing else of ours has that number yet.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    inherit(&fd, false)?;
    Ok(fd)
}

/// Closes what an earlier image left open beside the standard streams and `keep`: files of whoever started it,
/// which this image has no business to hold. Must be called before anything else opens files.
pub fn close_others(keep: &[RawFd]) {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        })
        .unwrap_or_default();
    for number in open.into_iter().filter(|number| *number > 2 && !keep.contains(number)) {
        // SAFETY: nothing of this image is open yet; the listing's own descriptor is closed already, and closing
        // it again gives EBADF.
        unsafe { libc::close(number) };
    }
}
