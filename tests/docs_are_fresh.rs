//! The generated pages in `docs/` are those that this code makes.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_generated_pages_are_what_the_code_makes() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hubcast"))
        .args(["docs", "--out"])
        .arg(folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let stale: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            let made = fs::read_to_string(folder.path().join(name)).unwrap();
            fs::read_to_string(docs.join(name)).ok() != Some(made)
        })
        .collect();
    assert!(stale.is_empty(), "docs/{stale:?} are out of date: run `cargo run -- docs` and commit");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}
