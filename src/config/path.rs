//! The one name of a file, whatever links lead to it.

use std::path::{Path, PathBuf};

/// The most links that are followed; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Follows symbolic links, also a last one whose file is still to be made. A path that cannot be
/// resolved is only made absolute; opening it reports the reason.
#[must_use]
pub fn real_path(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let Ok(target) = path.read_link() else { break };
        path = path.parent().map_or(target.clone(), |folder| folder.join(target));
    }
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_a_file_that_may_not_exist() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("is there");
        let at = |name: &str| root.join(name);
        std::fs::create_dir(at("real")).expect("makes a folder");
        for (target, link) in [
            ("real", "folder"),
            ("real/made.db", "made"),
            ("real/missing.db", "missing"),
            ("missing", "twice"),
            ("loop", "loop"),
        ] {
            symlink(target, at(link)).expect("links");
        }
        std::fs::write(at("real/made.db"), "").expect("writes");
        for (path, real) in [
            ("real/made.db", "real/made.db"),
            ("folder/made.db", "real/made.db"),
            ("folder/new.db", "real/new.db"),
            ("made", "real/made.db"),
            ("missing", "real/missing.db"),
            ("twice", "real/missing.db"),
            ("no/folder.db", "no/folder.db"),
            ("loop", "loop"),
        ] {
            assert_eq!(real_path(&at(path)), at(real), "{path}");
        }
    }
}
