//! Finds the places of attachments in JSON text, in one pass and without building a tree.
//!
//! As in socket.io-parser, a placeholder is an object whose `_placeholder` is `true`. Other keys
//! are ignored, the last of equal keys counts, and the inside of a placeholder is not searched. Its
//! `num` has to be an index, written in digits.
//!
//! The text has to be JSON. Other text returns an arbitrary result, but never panics.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Fault, MAX_DEPTH};

/// The ranges of a placeholder in the text.
struct Placeholder {
    object: Range<usize>,
    /// The value of `num`; empty if there is none.
    num: Range<usize>,
}

/// An object or array that is open at the current place of the text.
struct Container {
    start: usize,
    is_object: bool,
    /// True between a comma or the brace and the colon.
    at_key: bool,
    key: Key,
    is_placeholder: bool,
    /// The range of the value of `num`.
    num: Range<usize>,
    /// The number of placeholders found before it.
    before: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Marker,
    Num,
    Other,
}

/// Checks that each placeholder's `num` is below `count`, and that the nesting is not too deep.
///
/// # Errors
/// [`Fault::Attachments`] or [`Fault::Depth`].
pub fn check(json: &str, count: usize) -> Result<(), Fault> {
    find(json)?.into_iter().try_for_each(|found| index(json, found.num, count).map(|_| ()))
}

/// Replaces each placeholder by its bytes as a base64 string, for protocols of JSON only.
pub fn inline(json: &str, attachments: &[Bytes]) -> Result<String, Fault> {
    let (mut out, mut written) = (String::with_capacity(json.len()), 0);
    for Placeholder { object, num } in find(json)? {
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

/// Adds `by` to the `num` of each placeholder, which has to be below `count`.
pub fn shifted(json: &str, count: usize, by: usize) -> Result<String, Fault> {
    let mut out = String::with_capacity(json.len());
    rebase(json, count, &mut out, |num| Ok(num + by))?;
    Ok(out)
}

/// Writes the text to `out`, with each placeholder's `num` (below `count`) mapped by `number`.
pub(super) fn rebase(
    json: &str,
    count: usize,
    out: &mut String,
    mut number: impl FnMut(usize) -> Result<usize, Fault>,
) -> Result<(), Fault> {
    let mut written = 0;
    for Placeholder { num, .. } in find(json)? {
        let source = index(json, num.clone(), count)?;
        // `find` returns ascending ranges that begin and end next to ASCII, so these slices exist.
        out.push_str(json.get(written..num.start).ok_or(Fault::Payload)?);
        out.push_str(&number(source)?.to_string());
        written = num.end;
    }
    out.push_str(json.get(written..).ok_or(Fault::Payload)?);
    Ok(())
}

/// Replaces each `num` by the bytes that it points to, for comparisons.
#[cfg(any(test, fuzzing))]
pub(in super::super) fn resolved(json: &str, attachments: &[bytes::Bytes]) -> String {
    let mut nums = find(json).expect("it was searched before");
    nums.reverse();
    nums.into_iter().fold(json.to_owned(), |mut text, Placeholder { num, .. }| {
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

/// Returns the placeholders in the order of the text.
fn find(json: &str) -> Result<Vec<Placeholder>, Fault> {
    let bytes = json.as_bytes();
    let (mut open, mut found): (Vec<Container>, Vec<Placeholder>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => {
                if open.len() == MAX_DEPTH {
                    return Err(Fault::Depth);
                }
                note(open.last_mut(), json, start..at);
                let is_object = byte == b'{';
                let (key, num, before) = (Key::Other, 0..0, found.len());
                open.push(Container {
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
                if let Some(container) = open.pop()
                    && container.is_placeholder
                {
                    found.truncate(container.before);
                    found.push(Placeholder { object: container.start..at, num: container.num });
                }
            }
            b',' => {
                if let Some(container) = open.last_mut() {
                    container.at_key = container.is_object;
                }
            }
            b':' => {
                if let Some(container) = open.last_mut() {
                    container.at_key = false;
                }
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                at = end_of_string(bytes, at);
                match open.last_mut() {
                    Some(container) if container.at_key => {
                        container.key = key(json.get(start..at).unwrap_or_default());
                    }
                    container => note(container, json, start..at),
                }
            }
            _ => {
                let length = bytes
                    .iter()
                    .skip(at)
                    .take_while(|byte| !b",:{}[]\" \t\n\r".contains(byte))
                    .count();
                at += length;
                note(open.last_mut(), json, start..at);
            }
        }
    }
    Ok(found)
}

/// Records a value of an open container. `value` is the range of a whole scalar, or of the first
/// character of an object or array.
fn note(container: Option<&mut Container>, json: &str, value: Range<usize>) {
    let Some(container) = container else { return };
    match container.key {
        Key::Marker => container.is_placeholder = json.get(value) == Some("true"),
        Key::Num => container.num = value,
        Key::Other => {}
    }
}

/// Returns the index after the quote that closes the string at `at`.
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

/// Reads a key, which may contain escapes. `quoted` includes the quotes.
fn key(quoted: &str) -> Key {
    match quoted {
        r#""_placeholder""# => Key::Marker,
        r#""num""# => Key::Num,
        _ if quoted.contains('\\') => match serde_json::from_str::<String>(quoted).as_deref() {
            Ok("_placeholder") => Key::Marker,
            Ok("num") => Key::Num,
            _ => Key::Other,
        },
        _ => Key::Other,
    }
}
