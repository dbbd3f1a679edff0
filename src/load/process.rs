//! Memory and CPU time of the server's processes, from Linux's `/proc`. Other systems get an error.

use std::io;
use std::time::Duration;

/// Resident memory in KiB.
pub(super) fn memory_kib(pid: u32) -> Result<u64, String> {
    proc::memory_kib(pid).map_err(|error| format!("--pid {pid}: {error}"))
}

/// CPU time of all threads and of all children.
pub(super) fn cpu_time(pid: u32) -> Result<Duration, String> {
    proc::cpu_time(pid).map_err(|error| format!("--pid {pid}: {error}"))
}

#[cfg(target_os = "linux")]
mod proc {
    use std::fs;

    use super::{Duration, io};

    pub(super) fn memory_kib(pid: u32) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| io::Error::other("its memory cannot be read"))
    }

    pub(super) fn cpu_time(pid: u32) -> io::Result<Duration> {
        let mut time = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread or a child may end meanwhile, and then counts as nothing.
            let read = |file| {
                let path = thread.as_ref().map(|thread| thread.path().join(file));
                fs::read_to_string(path.unwrap_or_default()).unwrap_or_default()
            };
            let nanos = read("schedstat").split(' ').next().and_then(|nanos| nanos.parse().ok());
            time += Duration::from_nanos(nanos.unwrap_or_default());
            for child in read("children").split_whitespace().filter_map(|child| child.parse().ok())
            {
                time += cpu_time(child).unwrap_or_default();
            }
        }
        Ok(time)
    }
}

#[cfg(not(target_os = "linux"))]
mod proc {
    use super::{Duration, io};

    pub(super) fn memory_kib(_pid: u32) -> io::Result<u64> {
        Err(only_linux())
    }

    pub(super) fn cpu_time(_pid: u32) -> io::Result<Duration> {
        Err(only_linux())
    }

    fn only_linux() -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, "can be measured on Linux only")
    }
}
