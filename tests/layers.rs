//! Checks that the imports of the source agree with the table in each crate's `src/lib.rs`, and
//! checks other rules about the source alone.

#[path = "support/source.rs"]
mod source;

use std::fs;
use std::path::PathBuf;

use source::{
    Source, circles, files, has_path, imported_modules, ranks, root, sources, variants,
    without_comments_and_strings, word_starts,
};

/// The folders of this repository's crates.
const CRATES: [&str; 2] = [".", "crates/hubcast-realtime"];

/// The most files that may import each other in a circle.
const MAX_CIRCLE: usize = 3;

/// The most lines in a source file.
const MAX_LINES: usize = 400;

/// The most columns in a line of src and crates.
const MAX_COLUMNS: usize = 100;

#[test]
fn modules_import_only_from_lower_ranks() {
    let mut faults = Vec::new();
    for folder in CRATES {
        let ranks = ranks(folder);
        let is_module = |name: &String| ranks.contains_key(name);
        for source in sources(folder) {
            for target in imported_modules(folder, &source) {
                let allowed = match (ranks.get(&source.module), ranks.get(&target)) {
                    (Some(from), Some(to)) => to < from || target == source.module,
                    (None, Some(_)) => ["main", "lib"].contains(&&*source.module),
                    // Items at the root of `hubcast-realtime` are for its callers, not for its
                    // files.
                    (_, None) => false,
                };
                if !(allowed || target == "tests" || is_test_only(&source, &target, &is_module)) {
                    faults.push(format!("{} imports {target}", source.path.display()));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "imports that the table in src/lib.rs does not allow:\n{}",
        faults.join("\n")
    );
}

/// Names of a crate's root that only its tests use.
fn is_test_only(source: &Source, target: &str, is_module: &dyn Fn(&String) -> bool) -> bool {
    let code = source.code.split("mod tests").next().unwrap_or_default();
    !is_module(&target.to_owned()) && !has_path(code, &format!("crate::{target}"))
}

#[test]
fn no_more_than_three_files_import_each_other_in_a_circle() {
    let large: Vec<String> = CRATES
        .into_iter()
        .flat_map(|folder| circles(&sources(folder)))
        .filter(|circle| circle.len() > MAX_CIRCLE)
        .map(|circle| circle.join("\n"))
        .collect();
    assert!(large.is_empty(), "more than {MAX_CIRCLE} files in a circle:\n{}", large.join("\n\n"));
}

#[test]
fn the_table_names_every_module_and_no_other() {
    for folder in CRATES {
        let mut present: Vec<String> = sources(folder)
            .into_iter()
            .map(|source| source.module)
            .filter(|module| module != "lib" && module != "main")
            .collect();
        // In `hubcast` this module is a crate of its own.
        if folder == "." {
            present.push("realtime".to_owned());
        }
        present.sort();
        present.dedup();
        let named: Vec<String> = ranks(folder).into_keys().collect();
        assert_eq!(named, present, "left: the table in src/lib.rs; right: the files in src/");
    }
}

#[test]
fn every_error_is_used() {
    let sources = sources(".");
    let errors =
        sources.iter().find(|source| source.module == "error").expect("src/error.rs is there");
    let variants = variants(&errors.code, "enum Error");
    assert!(variants.len() > 5, "the errors could not be read: {variants:?}");
    let unused: Vec<&String> = variants
        .iter()
        .filter(|variant| {
            let name = format!("Error::{variant}");
            !sources.iter().any(|source| source.module != "error" && has_path(&source.code, &name))
        })
        .collect();
    assert!(unused.is_empty(), "nothing outside src/error.rs makes or reads these: {unused:?}");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = ["src", "crates", "tests", "examples", "benches", "static"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), &["rs", "js", "mjs", "css", "html"]))
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).expect("a source file is text").lines().count();
            (lines > MAX_LINES).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn no_line_of_the_sources_is_too_wide() {
    let mut wide = Vec::new();
    for path in ["src", "crates"].iter().flat_map(|folder| files(&root().join(folder), &["rs"])) {
        let text = fs::read_to_string(&path).expect("a source file is text");
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > MAX_COLUMNS {
                wide.push(format!("{}:{number}", path.display()));
            }
        }
    }
    // rustfmt breaks neither comments nor strings.
    assert!(wide.is_empty(), "more than {MAX_COLUMNS} columns:\n{}", wide.join("\n"));
}

/// Service functions that do not check the table of permissions themselves, by file, with the
/// reason.
const CHECKED_ELSEWHERE: [(&str, &str); 5] = [
    // It joins a batch, which checks each message.
    ("messages", "send"),
    // Whoever is in a room may leave it.
    ("rooms", "leave"),
    // The module `projects` checks them: `list_of` and `hold`.
    ("stages", "add"),
    ("stages", "complete"),
    ("stages", "list"),
];

#[test]
fn every_service_function_checks_the_table_of_permissions() {
    let (mut count, mut silent) = (0, Vec::new());
    for source in sources(".").iter().filter(|source| source.module == "service") {
        let code = source.code.split("mod tests").next().unwrap_or_default();
        let starts = word_starts(code, "fn ");
        let ends = starts.iter().skip(1).copied().chain([code.len()]);
        let functions: Vec<(&str, &str, bool)> = std::iter::zip(&starts, ends)
            .map(|(start, end)| {
                let (name, rest) = code[start + "fn ".len()..end]
                    .split_once(['(', '<'])
                    .expect("a function has parameters");
                (name, rest, code[..*start].ends_with("pub async "))
            })
            .collect();
        // A function of another module with the same name does not count.
        let calls = |body: &str, name: &str| {
            word_starts(body, &format!("{name}("))
                .iter()
                .any(|at| !body[..*at].ends_with([':', '.']))
        };
        let checks = |body: &str| calls(body, "permit");
        for (name, rest, _) in functions
            .iter()
            .filter(|(_, rest, is_public)| *is_public && rest.contains(": &Identity"))
        {
            count += 1;
            if !checks(rest)
                && !functions
                    .iter()
                    .any(|(local, body, _)| local != name && checks(body) && calls(rest, local))
            {
                silent.push((
                    source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                    (*name).to_owned(),
                ));
            }
        }
    }
    assert!(count > 30, "the service functions could not be read: {count}");
    let mut named = CHECKED_ELSEWHERE.map(|(file, name)| (file.to_owned(), name.to_owned()));
    named.sort();
    assert_eq!(
        silent, named,
        "left: service functions without a call of permit; right: the exceptions"
    );
}

#[test]
fn all_forms_of_imports_are_read() {
    let read = |module: &str, depth: usize, text: &str| {
        let (path, names) = (PathBuf::new(), vec![module.to_owned(); depth]);
        let code = without_comments_and_strings(text);
        imported_modules(".", &Source { path, module: module.into(), names, depth, code })
    };
    assert_eq!(
        read("x", 1, "use crate::{auth::{Identity, Tokens}, error::Error,\n  model};"),
        ["auth", "error", "model"]
    );
    assert_eq!(
        read(
            "x",
            1,
            "fn f(c: &'a u8) -> char { crate::store::open('\"', \"crate::http\", r#\"crate::cli\"#) } // crate::app"
        ),
        ["store"]
    );
    assert_eq!(
        read(
            "x",
            1,
            "/// [`crate::http`]\n#[diesel(table_name = crate::schema::orders)] pub(crate) struct A;"
        ),
        ["schema"]
    );
    assert_eq!(
        read(
            "x",
            2,
            "use super::store; use super::super::http::Error; macro_rules! m { () => { $crate::event::x() } }"
        ),
        ["event", "http"]
    );
    assert_eq!(read("x", 1, "use super::{auth, made_up};"), ["auth"]);
}

#[test]
fn all_circles_are_found() {
    let source = |names: &[&str], text: &str| Source {
        path: names.join("/").into(),
        module: names[0].to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        depth: names.len(),
        code: without_comments_and_strings(text),
    };
    let sources = [
        source(&["a"], "mod b; mod c; use crate::a::b::B;"),
        source(&["a", "b"], "use crate::{d::{self, E}, a::c::C};"),
        source(&["a", "c"], "fn f() { super::b::g() } // super::super::d"),
        source(&["d"], "#[cfg(test)]\nmod tests { use crate::a::A; }"),
    ];
    assert_eq!(circles(&sources), [["a/b", "a/c"]]);
}
