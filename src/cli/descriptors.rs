//! How many files and connections a program may have open, and whether its standard output was.

use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for where the system sets no bound: macOS refuses more than its own `OPEN_MAX`.
const MANY: [u64; 3] = [1 << 20, 65_536, 10_240];

/// Raises the limit of open files to what this user may have: many systems give a program 256 or 1024, and each request of a
/// load takes one. Returns the limit that holds now; `None` where there is none.
pub fn allow_many_connections() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    for many in MANY {
        let wanted = limit.maximum.map_or(many, |most| most.min(many));
        if limit.current.is_none_or(|now| now >= wanted) {
            break;
        }
        // A refusal leaves the limit as it is; the next smaller one is tried.
        if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Whether there is a standard output. Where it is closed (`>&-`), Rust's runtime has put the null device in its place before a
/// program begins, for reading and writing: what is written there is lost without an error. A shell's `>/dev/null` is for writing
/// alone, and is a wish.
pub fn has_output() -> bool {
    let stdout = std::io::stdout();
    let is_null = fstat(&stdout)
        .ok()
        .zip(stat("/dev/null").ok())
        .is_some_and(|(out, null)| (out.st_mode, out.st_rdev) == (null.st_mode, null.st_rdev));
    !is_null || fcntl_getfl(&stdout).is_ok_and(|flags| flags & OFlags::RWMODE != OFlags::RDWR)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limit_never_becomes_lower() {
        let before = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let after = super::allow_many_connections();
        assert!(after.is_none_or(|after| before.is_some_and(|before| after >= before)));
        assert_eq!(super::allow_many_connections(), after);
    }
}
