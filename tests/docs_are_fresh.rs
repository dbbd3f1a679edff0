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

/// The names in backquotes that look like functions of tests, and the files that are named.
#[test]
fn each_test_that_the_security_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("docs/SECURITY-MODEL.md")).unwrap();
    let sources = sources(root);
    let mut missing = Vec::new();
    for row in model.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cell = row.rsplit('|').nth(1).unwrap_or_default();
        for name in cell.split('`').skip(1).step_by(2) {
            let exists = if name.contains('/') {
                root.join(name).exists()
            } else {
                sources.iter().any(|text| text.contains(&format!("fn {name}(")))
            };
            if !exists {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "docs/SECURITY-MODEL.md names what does not exist: {missing:?}");
}

/// The texts of all Rust files in which tests are.
fn sources(root: &Path) -> Vec<String> {
    let mut folders = ["src", "tests", "crates"].map(|folder| root.join(folder)).to_vec();
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// A table that nobody thought about may grow without end.
#[test]
fn the_docs_say_of_every_table_how_long_its_rows_are_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let mut tables = std::collections::BTreeSet::new();
    for migration in fs::read_dir(root.join("migrations/postgres")).unwrap() {
        let up = fs::read_to_string(migration.unwrap().path().join("up.sql")).unwrap();
        let made = up.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
        tables.extend(made.map(|rest| rest.split([' ', '(']).next().unwrap().to_owned()));
    }
    let running = read("docs/running.md");
    let (_, section) = running.split_once("## What is kept, and for how long").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let named: std::collections::BTreeSet<String> = named.map(|(name, _)| name.into()).collect();
    assert!(tables.len() > 25, "{tables:?}");
    assert_eq!(named, tables, "left: docs/running.md; right: the tables");
}
