//! The rules of single values, with class-validator's messages.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::BodySource;
use crate::model::name::{self as names, NameFault};
use crate::model::{Money, email as address};

/// The rules that a value breaks.
macro_rules! broken {
    ($($rule:expr),+) => { vec![$(Cow::Borrowed($rule)),+] };
}

/// The rules that a value breaks, without the field's name.
pub type BrokenRules = Vec<Cow<'static, str>>;

/// The value of a field that a rule checks, or its absence.
#[derive(Debug, Clone, Copy)]
pub struct FieldValue<'a> {
    pub(super) value: Option<&'a RawValue>,
    pub(super) source: BodySource,
    /// Set while a schema is collected: the rule writes its schema here.
    pub(super) collected: Option<&'a RefCell<Value>>,
}

impl FieldValue<'_> {
    /// Writes the JSON Schema (2020-12) of a rule; every rule calls this first.
    ///
    /// # Errors
    /// An error without rules while a schema is collected, so that the rule ends here.
    pub fn describe(&self, schema: impl FnOnce() -> Value) -> Result<(), BrokenRules> {
        match self.collected {
            Some(collected) => {
                collected.replace(schema());
                Err(Vec::new())
            }
            None => Ok(()),
        }
    }

    fn id_schema(&self) -> Value {
        let number = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
        match self.source {
            BodySource::Rest => number,
            BodySource::Socket => {
                json!({"anyOf": [number, {"type": "string", "pattern": r"^\d+$"}]})
            }
        }
    }

    /// The text of a JSON number.
    fn number(&self) -> Option<&str> {
        self.value
            .map(RawValue::get)
            .filter(|text| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
    }

    /// Like [`FieldValue::number`], with the point of a whole number cut off: 5.0 is 5, as in JSON
    /// Schema and JavaScript.
    fn whole(&self) -> Option<&str> {
        let whole = |text| {
            str::split_once(text, '.').filter(|(_, places)| places.bytes().all(|byte| byte == b'0'))
        };
        self.number().map(|text| whole(text).map_or(text, |(whole, _)| whole))
    }

    /// A JSON string. U+0000 is refused, because PostgreSQL cannot store it.
    fn string(&self) -> Option<String> {
        self.value
            .and_then(|value| serde_json::from_str(value.get()).ok())
            .filter(|text: &String| !text.contains('\0'))
    }
}

const NUMBER: &str = "must be a number conforming to the specified constraints";
const NOT_NEGATIVE: &str = "must not be less than 0";
const POSITIVE: &str = "must be a positive number";
const INTEGER: &str = "must be an integer number";
const STRING: &str = "must be a string";
const EMAIL: &str = "must be an email";
const PASSWORD: &str = "must be longer than or equal to 8 characters";
const BOOLEAN: &str = "must be a boolean value";
const ARRAY: &str = "must be an array";
const OBJECT: &str = "must be an object";
const EMPTY: &str = "should not be empty";
const UNSEEN: &str = "must not contain control or invisible characters";
const MIXED: &str = "must not mix alphabets within a word";
const ONE_LINE: &str = "must not contain control or bidirectional characters";
const IDS: &str = "must be an array of positive integer numbers";
/// The most characters of a [`single_line`].
const MAX_LINE: usize = 255;
/// The most ids in a list of [`ids`].
const MAX_IDS: usize = 1000;
/// The fewest characters of a [`password`].
const MIN_PASSWORD: usize = 8;

/// An amount of money, zero or more: a number, read exactly, or a string of one.
pub fn amount(given: FieldValue<'_>) -> Result<Money, BrokenRules> {
    given.describe(|| amount_schema("minimum"))?;
    let string = given.string();
    let text = string.as_deref().or(given.number());
    match text.map(Money::from_str) {
        Some(Ok(amount)) if !amount.is_negative() => Ok(amount),
        Some(Ok(_)) => Err(broken![NOT_NEGATIVE]),
        // The number has an exponent, or too many places or digits. A float is enough to find the
        // sign.
        Some(Err(_)) => match text.and_then(|text| text.parse::<f64>().ok()) {
            Some(number) if number >= 0.0 => Err(broken![NUMBER]),
            _ => Err(broken![NOT_NEGATIVE, NUMBER]),
        },
        None => Err(broken![NOT_NEGATIVE, NUMBER]),
    }
}

/// JSON Schema cannot express the two decimal places of a number.
fn amount_schema(least: &str) -> Value {
    json!({"anyOf": [
        {"type": "number", least: 0, "exclusiveMaximum": 1e14},
        {"type": "string", "pattern": r"^(0|[1-9]\d{0,13})(\.\d{1,2})?$"},
    ]})
}

/// Like [`amount`], but more than zero.
pub fn positive_amount(given: FieldValue<'_>) -> Result<Money, BrokenRules> {
    given.describe(|| amount_schema("exclusiveMinimum"))?;
    match amount(given) {
        Ok(Money::ZERO) => Err(broken![POSITIVE]),
        Err(broken) => Err(broken
            .into_iter()
            .map(|rule| if rule == NOT_NEGATIVE { Cow::Borrowed(POSITIVE) } else { rule })
            .collect()),
        good => good,
    }
}

/// The elements of a list with 1 to `most` elements.
pub(super) fn elements(given: FieldValue<'_>, most: usize) -> Result<Vec<&RawValue>, BrokenRules> {
    let values: Vec<&RawValue> = given
        .value
        .and_then(|value| serde_json::from_str(value.get()).ok())
        .ok_or_else(|| broken![ARRAY])?;
    match values.len() {
        0 => Err(broken!["must contain at least 1 elements"]),
        count if count > most => {
            Err(vec![Cow::Owned(format!("must contain no more than {most} elements"))])
        }
        _ => Ok(values),
    }
}

/// An id: a positive integer.
pub fn id<T: FromStr>(given: FieldValue<'_>) -> Result<T, BrokenRules> {
    given.describe(|| given.id_schema())?;
    let string = given.string().filter(|_| given.source == BodySource::Socket);
    let Some(text) = string.as_deref().or(given.whole()) else {
        return Err(broken![POSITIVE, NUMBER]);
    };
    text.parse().map_err(|_| match text.parse::<f64>() {
        Ok(number) if number > 0.0 => broken![INTEGER],
        Ok(_) => broken![POSITIVE],
        Err(_) => broken![POSITIVE, NUMBER],
    })
}

/// An integer from `least` to `most`.
pub fn integer(least: i64, most: i64) -> impl Fn(FieldValue<'_>) -> Result<i64, BrokenRules> {
    move |given| {
        given.describe(|| json!({"type": "integer", "minimum": least, "maximum": most}))?;
        let too_large = || Cow::Owned(format!("must not be greater than {most}"));
        let too_small = || Cow::Owned(format!("must not be less than {least}"));
        let Some(text) = given.whole() else {
            return Err(vec![too_large(), too_small(), Cow::Borrowed(INTEGER)]);
        };
        match text.parse::<i64>() {
            Ok(integer) if integer > most => Err(vec![too_large()]),
            Ok(integer) if integer < least => Err(vec![too_small()]),
            Ok(integer) => Ok(integer),
            // A number, but no integer: a float is enough to compare it with the bounds.
            Err(_) => match text.parse::<f64>() {
                Ok(number) if number > most as f64 => {
                    Err(vec![too_large(), Cow::Borrowed(INTEGER)])
                }
                Ok(number) if number < least as f64 => {
                    Err(vec![too_small(), Cow::Borrowed(INTEGER)])
                }
                _ => Err(broken![INTEGER]),
            },
        }
    }
}

/// Any string.
pub fn text(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    given.describe(|| json!({"type": "string"}))?;
    given.string().ok_or_else(|| broken![STRING])
}

/// A short string, such as a name.
pub fn single_line(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    at_most(MAX_LINE)(given)
}

/// Like [`single_line`], but not empty: for fields that may be left out, but not emptied.
pub fn non_empty(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    given.describe(|| json!({"type": "string", "minLength": 1, "maxLength": MAX_LINE}))?;
    let text = single_line(given)?;
    if text.is_empty() { Err(broken![EMPTY]) } else { Ok(text) }
}

/// The name of a thing, as others see it: a [`single_line`] without control characters, and without
/// those that turn its direction.
pub fn title(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    one_line(single_line(given)?)
}

/// Like [`title`], but not empty: for fields that may be left out, but not emptied.
pub fn non_empty_title(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    one_line(non_empty(given)?)
}

fn one_line(text: String) -> Result<String, BrokenRules> {
    if names::is_one_line(&text) { Ok(text) } else { Err(broken![ONE_LINE]) }
}

/// The name of a person, in its one spelling. For a required field, which refuses the empty string.
pub fn person_name(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    let text = single_line(given)?;
    if text.is_empty() {
        return Ok(text);
    }
    let name = names::of_person(&text).map_err(|fault| match fault {
        NameFault::Unseen => broken![UNSEEN],
        NameFault::Empty => broken![EMPTY],
        NameFault::Mixed => broken![MIXED],
    })?;
    // The one spelling may have more characters than what was given.
    if name.chars().count() > MAX_LINE { Err(vec![too_long(MAX_LINE)]) } else { Ok(name) }
}

fn too_long(most: usize) -> Cow<'static, str> {
    Cow::Owned(format!("must be shorter than or equal to {most} characters"))
}

/// A string of at most `most` characters.
pub fn at_most(most: usize) -> impl Fn(FieldValue<'_>) -> Result<String, BrokenRules> {
    move |given| {
        given.describe(|| json!({"type": "string", "maxLength": most}))?;
        let text = given.string().ok_or_else(|| vec![too_long(most), Cow::Borrowed(STRING)])?;
        if text.chars().count() > most { Err(vec![too_long(most)]) } else { Ok(text) }
    }
}

/// Any value, as its JSON text.
pub fn anything(given: FieldValue<'_>) -> Result<Box<RawValue>, BrokenRules> {
    given.describe(|| json!({}))?;
    given.value.map(ToOwned::to_owned).ok_or_else(Vec::new)
}

/// The number of bytes of a text inside JSON, for the budget of its events.
#[must_use]
pub fn json_len(text: &str) -> usize {
    let cost = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        // Written as \u0001; some have a shorter form.
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(cost).sum()
}

/// True or false.
pub fn flag(given: FieldValue<'_>) -> Result<bool, BrokenRules> {
    given.describe(|| json!({"type": "boolean"}))?;
    given.value.and_then(|value| value.get().parse().ok()).ok_or_else(|| broken![BOOLEAN])
}

/// A list of at most 1000 ids. A repeated id counts once.
pub fn ids<T: FromStr + PartialEq>(given: FieldValue<'_>) -> Result<Vec<T>, BrokenRules> {
    ids_at_most(MAX_IDS)(given)
}

/// A list of at most `most` ids. A repeated id counts once.
pub fn ids_at_most<T: FromStr + PartialEq>(
    most: usize,
) -> impl Fn(FieldValue<'_>) -> Result<Vec<T>, BrokenRules> {
    move |given| {
        given
            .describe(|| json!({"type": "array", "items": given.id_schema(), "maxItems": most}))?;
        let values: Vec<&RawValue> = given
            .value
            .and_then(|value| serde_json::from_str(value.get()).ok())
            .ok_or_else(|| broken![IDS])?;
        if values.len() > most {
            return Err(vec![Cow::Owned(format!("must contain no more than {most} elements"))]);
        }
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            let one = id(FieldValue { value: Some(value), ..given }).map_err(|_| broken![IDS])?;
            if !ids.contains(&one) {
                ids.push(one);
            }
        }
        Ok(ids)
    }
}

/// Any JSON object, as its text.
pub fn object(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    given.describe(|| json!({"type": "object", "additionalProperties": {}}))?;
    let text = given.value.map(RawValue::get).filter(|text| text.starts_with('{'));
    text.map(ToOwned::to_owned).ok_or_else(|| broken![OBJECT])
}

/// A new password.
pub fn password(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    given.describe(|| json!({"type": "string", "minLength": MIN_PASSWORD}))?;
    let text = given.string().ok_or_else(|| broken![PASSWORD, STRING])?;
    if text.chars().count() < MIN_PASSWORD { Err(broken![PASSWORD]) } else { Ok(text) }
}

/// A plausible e-mail address.
pub fn email(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    given.describe(|| json!({"type": "string", "format": "email"}))?;
    given.string().filter(|text| address::is_plausible(text)).ok_or_else(|| broken![EMAIL])
}

/// One of these words.
pub fn one_of<T: FromStr + fmt::Display>(
    words: &'static [T],
) -> impl Fn(FieldValue<'_>) -> Result<T, BrokenRules> {
    move |given| {
        let texts = || words.iter().map(ToString::to_string).collect::<Vec<_>>();
        given.describe(|| json!({"type": "string", "enum": texts()}))?;
        given.string().and_then(|text| text.parse().ok()).ok_or_else(|| {
            let words = texts();
            vec![Cow::Owned(format!("must be one of the following values: {}", words.join(", ")))]
        })
    }
}
