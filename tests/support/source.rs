//! Reads the imports of a crate's source files, with comments and strings taken out: `use crate::…`
//! with nested braces, `crate::x::` paths in expressions and attributes, `$crate::` in macros, and
//! `super::` chains.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// One file under `src`, with its text without comments and strings.
pub struct Source {
    pub path: PathBuf,
    /// The top-level module: `store` for `src/store/orders.rs`.
    pub module: String,
    /// The whole path of the module: `store`, `orders`. Empty for `lib.rs`.
    pub names: Vec<String>,
    /// How many `super::` lead from this file to the crate's root.
    pub depth: usize,
    pub code: String,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files below `folder` with one of these extensions, without the packages that npm and
/// Python have installed.
pub fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
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

/// Returns the sources of the crate in that folder of the repository.
pub fn sources(folder: &str) -> Vec<Source> {
    let src = root().join(folder).join("src");
    files(&src, &["rs"])
        .into_iter()
        .map(|path| {
            let inner = path.strip_prefix(&src).expect("it was found in src").with_extension("");
            let mut names: Vec<String> =
                inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if names.last().is_some_and(|last| last == "mod") {
                names.pop();
            }
            let (module, depth) = (names[0].clone(), names.len());
            if names == ["lib"] || names == ["main"] {
                names.clear();
            }
            let text = fs::read_to_string(&path).expect("a source file is text");
            Source { module, names, depth, code: without_comments_and_strings(&text), path }
        })
        .collect()
}

/// The table in the doc of a crate's `src/lib.rs`: ``| rank | [`module`], … | owns |``.
pub fn ranks(folder: &str) -> BTreeMap<String, u32> {
    let path = root().join(folder).join("src/lib.rs");
    let text = fs::read_to_string(path).expect("src/lib.rs is there");
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

/// Returns the top-level modules that a file imports, including its own. `folder` is that of its
/// crate.
pub fn imported_modules(folder: &str, source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "hubcast::"] {
        for at in word_starts(&source.code, start) {
            found.extend(heads(&source.code[at + start.len()..]));
        }
    }
    for at in word_starts(&source.code, "super::") {
        let chain =
            source.code[at..].split("super::").take_while(|between| between.is_empty()).count();
        // The first piece before "super::" is empty too, so n of them are a chain of n.
        if !source.code[..at].ends_with("super::") && chain >= source.depth {
            let names = heads(&source.code[at + chain * "super::".len()..]);
            let is_module = |name: &String| {
                let path = root().join(folder).join("src").join(name);
                path.is_dir() || path.with_extension("rs").is_file()
            };
            found.extend(names.into_iter().filter(is_module));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the groups of files that import each other in a circle, largest first. A file imports
/// another by `crate::…` and by `super::…`. The `mod.rs` of a folder consists of the files below
/// it, so its own imports of them do not count. Code of tests does not count either.
pub fn circles(sources: &[Source]) -> Vec<Vec<String>> {
    let modules: BTreeMap<&[String], usize> = sources
        .iter()
        .enumerate()
        .filter(|(_, source)| source.module != "main")
        .map(|(at, source)| (&source.names[..], at))
        .collect();
    let imports: Vec<BTreeSet<usize>> = sources
        .iter()
        .map(|source| {
            let mut targets: BTreeSet<usize> =
                imported_paths(source).iter().filter_map(|p| file_of(p, &modules)).collect();
            targets.retain(|to| !sources[*to].names.starts_with(&source.names));
            targets
        })
        .collect();
    let reached: Vec<BTreeSet<usize>> = (0..sources.len())
        .map(|start| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(at) = open.pop() {
                open.extend(imports[at].iter().filter(|next| seen.insert(**next)));
            }
            seen
        })
        .collect();
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for at in 0..sources.len() {
        let group: Vec<String> = (0..sources.len())
            .filter(|other| reached[at].contains(other) && reached[*other].contains(&at))
            .map(|other| sources[other].path.display().to_string())
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

/// Returns the file that defines the longest module of a path.
fn file_of(path: &[String], modules: &BTreeMap<&[String], usize>) -> Option<usize> {
    (0..=path.len()).rev().find_map(|length| modules.get(&path[..length]).copied())
}

/// Returns all paths of a file into its crate, each from the crate's root.
fn imported_paths(source: &Source) -> Vec<Vec<String>> {
    // `mod tests` is always last in a file.
    let code = source.code.split("#[cfg(test)] mod tests {").next().unwrap_or_default();
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for at in word_starts(code, "crate::") {
        paths_at(&code[at + "crate::".len()..], &[], &mut found);
    }
    for at in word_starts(code, "super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let chain = code[at..].split("super::").take_while(|between| between.is_empty()).count();
        let base = &source.names[..source.names.len().saturating_sub(chain)];
        paths_at(&code[at + chain * "super::".len()..], base, &mut found);
    }
    found
}

/// Adds the paths that begin at `rest`, each after `base`: `a::{b, c::d}` are `a::b` and `a::c::d`.
fn paths_at(rest: &str, base: &[String], found: &mut Vec<Vec<String>>) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut start) = (1, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                paths_at(&group[start..at], base, found);
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        return;
    }
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        // The path ends in a glob, or the list ends.
        found.push(base.to_vec());
        return;
    }
    let mut path = base.to_vec();
    if name != "self" {
        path.push(name.clone());
    }
    match rest[name.len()..].strip_prefix("::") {
        Some(more) => paths_at(more, &path, found),
        None => found.push(path),
    }
}

/// Returns where `word` begins in `code`, except within a longer name.
pub fn word_starts(code: &str, word: &str) -> Vec<usize> {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .collect()
}

/// Returns the first names of a path's rest: `a` of `a::b`, and `a`, `c` of `{a::{b, d}, c}`.
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

pub fn has_path(code: &str, path: &str) -> bool {
    word_starts(code, path)
        .into_iter()
        .any(|at| !code[at + path.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Returns the names of an enum's variants, from code without comments.
pub fn variants(code: &str, header: &str) -> Vec<String> {
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

/// Blanks out comments, doc comments, strings and character literals, so that only names and
/// punctuation remain.
pub fn without_comments_and_strings(text: &str) -> String {
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

/// Returns the length of a block comment, which may contain others.
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

/// Returns the length up to and including the closing quote.
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

/// Returns the length of a character literal, or 0 for a lifetime.
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
