//! Holds the map: the table in `src/lib.rs` says which module may know which, and the source has to
//! agree. Also other rules about the source alone.
//!
//! Arrows are read from the code itself, with comments and strings taken out: `use crate::…` with
//! nested braces, `crate::x::` paths in expressions and attributes, `$crate::` in macros, and
//! `super::` chains that climb to the crate's root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// No source file may be longer.
const LONGEST: usize = 530;

#[test]
fn modules_import_only_from_lower_ranks() {
    let ranks = ranks();
    let mut faults = Vec::new();
    for source in sources() {
        for target in arrows(&source) {
            let allowed = match (ranks.get(&source.module), ranks.get(&target)) {
                (Some(from), Some(to)) => to < from || target == source.module,
                (None, Some(_)) => source.module == "main",
                (_, None) => false,
            };
            if !allowed {
                faults.push(format!("{} imports {target}", source.path.display()));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "arrows that the map in src/lib.rs does not have:\n{}",
        faults.join("\n")
    );
}

#[test]
fn realtime_knows_only_error_and_itself() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|source| source.module == "realtime")
        .flat_map(|source| {
            arrows(source)
                .into_iter()
                .map(|target| format!("{} imports {target}", source.path.display()))
        })
        .filter(|fault| !fault.ends_with(" error") && !fault.ends_with(" realtime"))
        .collect();
    assert!(
        faults.is_empty(),
        "realtime is a library of its own and imports only error:\n{}",
        faults.join("\n")
    );
}

#[test]
fn the_map_names_every_module_and_no_other() {
    let ranks = ranks();
    let mut present: Vec<String> = sources()
        .into_iter()
        .map(|source| source.module)
        .filter(|module| module != "lib" && module != "main")
        .collect();
    present.sort();
    present.dedup();
    let named: Vec<String> = ranks.into_keys().collect();
    assert_eq!(named, present, "left: the table in src/lib.rs; right: what is in src/");
}

#[test]
fn every_error_is_used_by_someone() {
    let sources = sources();
    let catalogue =
        sources.iter().find(|source| source.module == "error").expect("src/error.rs is there");
    let variants = variants(&catalogue.code, "enum Error");
    assert!(variants.len() > 5, "the catalogue could not be read: {variants:?}");
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
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<String> = ["src", "tests", "examples", "benches", "static"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), &["rs", "js", "mjs", "css", "html"]))
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).expect("a source file is text").lines().count();
            (lines > LONGEST).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "more than {LONGEST} lines:\n{}", long.join("\n"));
}

/// Verbs that do not ask the table of permissions themselves, by file, and why.
const DO_NOT_ASK: [(&str, &str); 1] = [
    // It is one of a batch, which asks for each.
    ("messages", "send"),
];

#[test]
fn every_verb_asks_the_table_of_permissions() {
    let (mut count, mut silent) = (0, Vec::new());
    for source in sources().iter().filter(|source| source.module == "service") {
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
        // Not what another module has under the same name.
        let calls = |body: &str, name: &str| {
            word_starts(body, &format!("{name}("))
                .iter()
                .any(|at| !body[..*at].ends_with([':', '.']))
        };
        let asks = |body: &str| calls(body, "permit");
        for (name, rest, _) in
            functions.iter().filter(|(_, rest, is_verb)| *is_verb && rest.contains(": &Identity"))
        {
            count += 1;
            if !asks(rest)
                && !functions
                    .iter()
                    .any(|(local, body, _)| local != name && asks(body) && calls(rest, local))
            {
                silent.push((
                    source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                    (*name).to_owned(),
                ));
            }
        }
    }
    assert!(count > 30, "the verbs could not be read: {count}");
    let mut named = DO_NOT_ASK.map(|(file, name)| (file.to_owned(), name.to_owned()));
    named.sort();
    assert_eq!(silent, named, "left: verbs that do not call permit; right: those that need not");
}

/// One file under `src`, its text without comments and strings.
struct Source {
    path: PathBuf,
    /// The top-level module: `store` for `src/store/orders.rs`.
    module: String,
    /// How many `super::` lead from this file to the crate's root.
    depth: usize,
    code: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder` with one of these extensions; what npm has installed is not ours.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder's entry can be read").path())
        .filter(|path| !path.ends_with("node_modules") && !path.ends_with(".venv"))
        .flat_map(|path| if path.is_dir() { files(&path, extensions) } else { vec![path] })
        .filter(|path| {
            extensions
                .iter()
                .any(|extension| path.extension().is_some_and(|found| found == *extension))
        })
        .collect();
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    files(&src, &["rs"])
        .into_iter()
        .map(|path| {
            let inner = path.strip_prefix(&src).expect("it was found in src").with_extension("");
            let mut parts: Vec<String> =
                inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if parts.last().is_some_and(|last| last == "mod") {
                parts.pop();
            }
            let code = without_comments_and_strings(
                &fs::read_to_string(&path).expect("a source file is text"),
            );
            Source { module: parts[0].clone(), depth: parts.len(), code, path }
        })
        .collect()
}

/// The table in the doc of `src/lib.rs`: ``| rank | [`module`], … | owns |``.
fn ranks() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs is there");
    let ranks: BTreeMap<String, u32> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .filter_map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let rank: u32 = cells.next()?.parse().ok()?;
            Some((rank, cells.next()?.to_owned()))
        })
        .flat_map(|(rank, modules)| {
            modules
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|name| (name.to_owned(), rank))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(ranks.len() > 5, "the table in src/lib.rs could not be read: {ranks:?}");
    ranks
}

/// The top-level modules that a file names, its own included.
fn arrows(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "hubcast::"] {
        for at in word_starts(&source.code, start) {
            found.extend(heads(&source.code[at + start.len()..]));
        }
    }
    for at in word_starts(&source.code, "super::") {
        let chain =
            source.code[at..].split("super::").take_while(|between| between.is_empty()).count();
        // The first piece before "super::" is empty too, so n of them stand for a chain of n.
        if !source.code[..at].ends_with("super::") && chain >= source.depth {
            let names = heads(&source.code[at + chain * "super::".len()..]);
            let is_module = |name: &String| {
                let path = root().join("src").join(name);
                path.is_dir() || path.with_extension("rs").is_file()
            };
            found.extend(names.into_iter().filter(is_module));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where `word` begins in `code`, not as the tail of a longer name.
fn word_starts(code: &str, word: &str) -> Vec<usize> {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .collect()
}

/// The first names of a path's rest: `a` of `a::b`, and `a`, `c` of `{a::{b, d}, c}`.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let Some(group) = rest.trim_start().strip_prefix('{') else {
        let head = name(rest.trim_start());
        return if head.is_empty() { Vec::new() } else { vec![head] };
    };
    let (mut depth, mut expects, mut found) = (1, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => expects = true,
            _ if expects && !c.is_whitespace() => {
                found.push(name(&group[at..]));
                expects = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

fn has_path(code: &str, path: &str) -> bool {
    word_starts(code, path)
        .into_iter()
        .any(|at| !code[at + path.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The names of an enum's variants, from code without comments.
fn variants(code: &str, header: &str) -> Vec<String> {
    let body = code
        .split_once(&format!("{header} "))
        .and_then(|(_, rest)| rest.split_once('{'))
        .map_or("", |(_, body)| body);
    let (mut depth, mut word, mut found) = (0_i32, String::new(), Vec::new());
    for c in body.chars() {
        if depth == 0 && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        if depth == 0 && !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// Blanks out comments, doc comments, strings and character literals, so that what is left is names
/// and punctuation.
fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            1 + string_end(&rest[1..])
        } else if c == 'r'
            && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && rest[1..].trim_start_matches('#').starts_with('"')
        {
            let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len())
        } else if c == '\'' {
            char_literal(rest)
        } else {
            0
        };
        if skipped > 0 {
            out.push(' ');
            rest = &rest[skipped..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length up to and with the closing quote.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; 0 for a lifetime.
fn char_literal(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some((_, _)) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[test]
fn the_reader_of_arrows_reads_them() {
    let read = |module: &str, depth: usize, text: &str| {
        arrows(&Source {
            path: PathBuf::new(),
            module: module.into(),
            depth,
            code: without_comments_and_strings(text),
        })
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
