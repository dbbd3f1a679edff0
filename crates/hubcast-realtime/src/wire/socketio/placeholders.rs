//! Where attachments belong into JSON text: found by one pass over the text, without a tree of it.
//!
//! A placeholder is an object whose `_placeholder` is `true`, as socket.io-parser takes it: other
//! keys do not matter, of equal keys the last counts, and nothing inside a placeholder is looked
//! at. Its `num` has to be an index, written as digits.
//!
//! The text has to be JSON. Of what is not, some reading is made, without a panic.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Fault, MAX_DEPTH};

/// Where a placeholder stands.
struct Found {
    object: Range<usize>,
    /// The value of `num`; empty when there is none.
    num: Range<usize>,
}

/// A container that is open at some place of the text.
struct Level {
    start: usize,
    is_object: bool,
    /// Between a comma or the brace and the colon.
    at_key: bool,
    key: Key,
    is_placeholder: bool,
    /// Where the value of `num` stands.
    num: Range<usize>,
    /// Placeholders that were found before it.
    before: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Mark,
    Num,
    Other,
}

/// Refuses a placeholder that points beside `count` attachments, and what is nested too deep to be
/// searched.
///
/// # Errors
/// [`Fault::Attachments`] and [`Fault::Payload`].
pub fn check(json: &str, count: usize) -> Result<(), Fault> {
    find(json)?.into_iter().try_for_each(|found| index(json, found.num, count).map(|_| ()))
}

/// The text with each placeholder replaced by its bytes in base64, as a string: for who takes JSON
/// alone.
///
/// # Errors
/// As [`check`].
pub fn inline(json: &str, attachments: &[Bytes]) -> Result<String, Fault> {
    let (mut out, mut written) = (String::with_capacity(json.len()), 0);
    for Found { object, num } in find(json)? {
        let bytes =
            attachments.get(index(json, num, attachments.len())?).ok_or(Fault::Attachments)?;
        out.push_str(json.get(written..object.start).ok_or(Fault::Payload)?);
        out.push('"');
        STANDARD.encode_string(bytes, &mut out);
        out.push('"');
        written = object.end;
    }
    out.push_str(json.get(written..).ok_or(Fault::Payload)?);
    Ok(out)
}

/// The text with `by` added to the number of each placeholder, which is below `count`.
///
/// # Errors
/// As [`check`].
pub fn shifted(json: &str, count: usize, by: usize) -> Result<String, Fault> {
    let mut out = String::with_capacity(json.len());
    rebase(json, count, &mut out, |num| Ok(num + by))?;
    Ok(out)
}

/// The text with each placeholder's `num` replaced by what `number` makes of it; `num` is below
/// `count`.
pub(super) fn rebase(
    json: &str,
    count: usize,
    out: &mut String,
    mut number: impl FnMut(usize) -> Result<usize, Fault>,
) -> Result<(), Fault> {
    let mut written = 0;
    for Found { num, .. } in find(json)? {
        let source = index(json, num.clone(), count)?;
        // `find` gives rising ranges that begin and end beside ASCII; were it not so, the
        // placeholder would be refused.
        out.push_str(json.get(written..num.start).ok_or(Fault::Payload)?);
        out.push_str(&number(source)?.to_string());
        written = num.end;
    }
    out.push_str(json.get(written..).ok_or(Fault::Payload)?);
    Ok(())
}

/// For comparing: the text with each `num` replaced by the bytes that it points to.
#[cfg(any(test, fuzzing))]
pub(in super::super) fn resolved(json: &str, attachments: &[bytes::Bytes]) -> String {
    let mut nums = find(json).expect("it was searched before");
    nums.reverse();
    nums.into_iter().fold(json.to_owned(), |mut text, Found { num, .. }| {
        let index = index(json, num.clone(), attachments.len()).expect("it was checked before");
        text.replace_range(num, &format!("{:?}", attachments[index]));
        text
    })
}

fn index(json: &str, num: Range<usize>, count: usize) -> Result<usize, Fault> {
    let digits = json.get(num).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .filter(|index| *index < count)
        .ok_or(Fault::Attachments)
}

/// The placeholders in the order of the text.
fn find(json: &str) -> Result<Vec<Found>, Fault> {
    let bytes = json.as_bytes();
    let (mut levels, mut found): (Vec<Level>, Vec<Found>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => {
                if levels.len() == MAX_DEPTH {
                    return Err(Fault::Payload);
                }
                note(levels.last_mut(), json, start..at);
                let is_object = byte == b'{';
                let (key, num, before) = (Key::Other, 0..0, found.len());
                levels.push(Level {
                    start,
                    is_object,
                    at_key: is_object,
                    key,
                    is_placeholder: false,
                    num,
                    before,
                });
            }
            b'}' | b']' => {
                if let Some(level) = levels.pop()
                    && level.is_placeholder
                {
                    found.truncate(level.before);
                    found.push(Found { object: level.start..at, num: level.num });
                }
            }
            b',' => {
                if let Some(level) = levels.last_mut() {
                    level.at_key = level.is_object;
                }
            }
            b':' => {
                if let Some(level) = levels.last_mut() {
                    level.at_key = false;
                }
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                at = end_of_string(bytes, at);
                match levels.last_mut() {
                    Some(level) if level.at_key => {
                        level.key = key(json.get(start..at).unwrap_or_default())
                    }
                    level => note(level, json, start..at),
                }
            }
            _ => {
                let length = bytes
                    .iter()
                    .skip(at)
                    .take_while(|byte| !b",:{}[]\" \t\n\r".contains(byte))
                    .count();
                at += length;
                note(levels.last_mut(), json, start..at);
            }
        }
    }
    Ok(found)
}

/// A value begins in that container; all of it, when it is neither object nor array, is `value`.
fn note(level: Option<&mut Level>, json: &str, value: Range<usize>) {
    let Some(level) = level else { return };
    match level.key {
        Key::Mark => level.is_placeholder = json.get(value) == Some("true"),
        Key::Num => level.num = value,
        Key::Other => {}
    }
}

/// Behind the quote that closes the string in which `at` is.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

/// `quoted` with its quotes. A key may be written with escapes.
fn key(quoted: &str) -> Key {
    match quoted {
        r#""_placeholder""# => Key::Mark,
        r#""num""# => Key::Num,
        _ if quoted.contains('\\') => match serde_json::from_str::<String>(quoted).as_deref() {
            Ok("_placeholder") => Key::Mark,
            Ok("num") => Key::Num,
            _ => Key::Other,
        },
        _ => Key::Other,
    }
}
