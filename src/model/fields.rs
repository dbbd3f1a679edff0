//! The reading of request bodies: one pass over a JSON object gives every fault in it, in class-validator's words, as NestJS's pipe lists them.
//!
//! Both doors use it. A reader takes the fields that it knows, and ends with [`Fields::end`], which refuses the ones it does not:
//!
//! ```
//! use hubcast::model::fields::{Fields, amount, id};
//! use hubcast::model::UserId;
//!
//! let mut fields = Fields::parse(br#"{"total":-1,"foo":2}"#).unwrap();
//! let total = fields.required("total", amount);
//! let customer = fields.optional("customerId", id::<UserId>);
//! let faults = fields.end(|| Some((total?, customer?))).unwrap_err();
//! assert_eq!(faults.messages(), ["property foo should not exist", "total must not be less than 0"]);
//! ```
//!
//! Faults come in the order that NestJS gives: unknown fields first, then the known ones as they are read; for one field the rules from the
//! last decorator to the first, so `should not be empty` is last. A missing field breaks all of its rules.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Money, email};
use crate::error::Error;

/// The rules that a value breaks.
macro_rules! broken {
    ($($rule:expr),+) => { vec![$(Cow::Borrowed($rule)),+] };
}

/// Where a body came from: what is allowed depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Rest,
    Socket,
}

/// A JSON object whose fields are still to be taken. Numbers keep their text.
#[derive(Debug)]
pub struct Fields<'a> {
    values: IndexMap<Cow<'a, str>, &'a RawValue>,
    door: Door,
    faults: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Of a REST body. One that is empty reads as `{}`, so that the faults say what is missing.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is not JSON, or not an object.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let text = std::str::from_utf8(body).map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?;
        Self::read(text, Door::Rest)
    }

    /// Of a socket event's payload: there an id may also be a string of digits.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is not an object.
    pub fn of_event(payload: &'a RawValue) -> Result<Self, Error> {
        Self::read(payload.get(), Door::Socket)
    }

    fn read(text: &'a str, door: Door) -> Result<Self, Error> {
        let value: &RawValue = serde_json::from_str(text).map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?;
        if !value.get().starts_with('{') {
            return Err(Error::BadRequest("Body must be a JSON object".into()));
        }
        // What is an object of raw values by now cannot fail to be read as one, but for names that are broken UTF-16.
        let values = serde_json::Deserializer::from_str(value.get()).deserialize_map(Object);
        Ok(Self { values: values.map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?, door, faults: Vec::new() })
    }

    /// A field that has to be there; `null` and the empty string count as missing. None: the fault is noted.
    pub fn required<T>(&mut self, name: &str, rule: impl Fn(Given<'_>) -> Result<T, Broken>) -> Option<T> {
        let value = self.values.shift_remove(name).filter(|value| value.get() != "null");
        let empty = value.is_none_or(|value| value.get() == "\"\"");
        match rule(Given { value, door: self.door }) {
            Ok(value) if !empty => Some(value),
            broken => {
                self.note(name, broken.err().unwrap_or_default());
                if empty {
                    self.note(name, broken![NOT_EMPTY]);
                }
                None
            }
        }
    }

    /// A field that may be left out or be `null`. None on the outside: the fault is noted.
    pub fn optional<T>(&mut self, name: &str, rule: impl Fn(Given<'_>) -> Result<T, Broken>) -> Option<Option<T>> {
        let Some(value) = self.values.shift_remove(name).filter(|value| value.get() != "null") else { return Some(None) };
        match rule(Given { value: Some(value), door: self.door }) {
            Ok(value) => Some(Some(value)),
            Err(broken) => {
                self.note(name, broken);
                None
            }
        }
    }

    /// Refuses what was not taken, and gives what `build` makes of the rest.
    ///
    /// # Errors
    /// [`Error::Faults`] with everything that was found.
    pub fn end<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        let unknown = self.values.keys().map(|name| format!("property {name} should not exist"));
        let faults: Vec<String> = unknown.chain(self.faults).collect();
        if !faults.is_empty() {
            return Err(Error::Faults(faults));
        }
        // `build` fails only for a field whose fault was noted above.
        build().ok_or(Error::Internal)
    }

    fn note(&mut self, name: &str, broken: Broken) {
        self.faults.extend(broken.into_iter().map(|rule| format!("{name} {rule}")));
    }
}

struct Object;

impl<'a> Visitor<'a> for Object {
    type Value = IndexMap<Cow<'a, str>, &'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = IndexMap::new();
        // Of a name that comes twice the last value counts, as with JSON.parse.
        while let Some((name, value)) = map.next_entry::<String, &'a RawValue>()? {
            values.insert(Cow::Owned(name), value);
        }
        Ok(values)
    }
}

/// The rules that a value breaks, without the field's name.
pub type Broken = Vec<Cow<'static, str>>;

/// What a rule is asked about: a value, or that there is none.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    value: Option<&'a RawValue>,
    door: Door,
}

impl Given<'_> {
    /// The text of a JSON number.
    fn number(&self) -> Option<&str> {
        self.value.map(RawValue::get).filter(|text| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
    }

    /// A JSON string. One with U+0000 in it is none: PostgreSQL could not store it.
    fn string(&self) -> Option<String> {
        self.value.and_then(|value| serde_json::from_str(value.get()).ok()).filter(|text: &String| !text.contains('\0'))
    }
}

const NOT_EMPTY: &str = "should not be empty";
const NUMBER: &str = "must be a number conforming to the specified constraints";
const NOT_NEGATIVE: &str = "must not be less than 0";
const POSITIVE: &str = "must be a positive number";
const INTEGER: &str = "must be an integer number";
const STRING: &str = "must be a string";
const EMAIL: &str = "must be an email";
const PASSWORD: &str = "must be longer than or equal to 8 characters";
const SHORT: &str = "must be shorter than or equal to 255 characters";
/// Of `line`.
const MAX_CHARS: usize = 255;
/// Of [`password`].
const MIN_PASSWORD: usize = 8;

/// An amount of money, zero or more: a number, exactly as it is written, or a string of one.
///
/// # Errors
/// The rules it breaks.
pub fn amount(given: Given<'_>) -> Result<Money, Broken> {
    let string = given.string();
    let text = string.as_deref().or(given.number());
    match text.map(Money::from_str) {
        Some(Ok(amount)) if !amount.is_negative() => Ok(amount),
        Some(Ok(_)) => Err(broken![NOT_NEGATIVE]),
        // A number all the same (an exponent, too many places or digits): a float is enough to know its sign.
        Some(Err(_)) => match text.and_then(|text| text.parse::<f64>().ok()) {
            Some(number) if number >= 0.0 => Err(broken![NUMBER]),
            _ => Err(broken![NOT_NEGATIVE, NUMBER]),
        },
        None => Err(broken![NOT_NEGATIVE, NUMBER]),
    }
}

/// An id: a positive integer.
///
/// # Errors
/// The rules it breaks.
pub fn id<T: FromStr>(given: Given<'_>) -> Result<T, Broken> {
    let string = given.string().filter(|_| given.door == Door::Socket);
    let Some(text) = string.as_deref().or(given.number()) else { return Err(broken![POSITIVE, NUMBER]) };
    text.parse().map_err(|_| match text.parse::<f64>() {
        Ok(number) if number > 0.0 => broken![INTEGER],
        Ok(_) => broken![POSITIVE],
        Err(_) => broken![POSITIVE, NUMBER],
    })
}

/// Any string.
///
/// # Errors
/// The rule it breaks.
pub fn text(given: Given<'_>) -> Result<String, Broken> {
    given.string().ok_or_else(|| broken![STRING])
}

/// A short string, such as a name.
///
/// # Errors
/// The rules it breaks.
pub fn line(given: Given<'_>) -> Result<String, Broken> {
    let text = given.string().ok_or_else(|| broken![SHORT, STRING])?;
    if text.chars().count() > MAX_CHARS { Err(broken![SHORT]) } else { Ok(text) }
}

/// A password that is to be set.
///
/// # Errors
/// The rules it breaks.
pub fn password(given: Given<'_>) -> Result<String, Broken> {
    let text = given.string().ok_or_else(|| broken![PASSWORD, STRING])?;
    if text.chars().count() < MIN_PASSWORD { Err(broken![PASSWORD]) } else { Ok(text) }
}

/// An e-mail address that could be one; whether it is, only a letter can tell.
///
/// # Errors
/// The rule it breaks.
pub fn email(given: Given<'_>) -> Result<String, Broken> {
    given.string().filter(|text| email::is_plausible(text)).ok_or_else(|| broken![EMAIL])
}

/// One of a few words.
pub fn word<T: FromStr + fmt::Display>(words: &'static [T]) -> impl Fn(Given<'_>) -> Result<T, Broken> {
    move |given| {
        given.string().and_then(|text| text.parse().ok()).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            vec![Cow::Owned(format!("must be one of the following values: {}", words.join(", ")))]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OrderStatus, UserId};

    fn faults(body: &str, read: impl FnOnce(&mut Fields<'_>)) -> Vec<String> {
        let mut fields = Fields::parse(body.as_bytes()).expect("an object");
        read(&mut fields);
        match fields.end(|| Some(())) {
            Ok(()) => Vec::new(),
            Err(error) => error.messages(),
        }
    }

    fn order(body: &str) -> Vec<String> {
        faults(body, |fields| {
            fields.required("total", amount);
            fields.optional("customerId", id::<UserId>);
        })
    }

    #[test]
    fn every_fault_is_listed_unknown_fields_first() {
        assert_eq!(
            order(r#"{"a":1,"customerId":-2,"total":-0.01,"b":{}}"#),
            [
                "property a should not exist",
                "property b should not exist",
                "total must not be less than 0",
                "customerId must be a positive number"
            ]
        );
    }

    #[test]
    fn a_missing_field_breaks_all_its_rules() {
        let all = [
            "total must not be less than 0",
            "total must be a number conforming to the specified constraints",
            "total should not be empty",
        ];
        for body in ["{}", "", " ", r#"{"total":null}"#, r#"{"total":""}"#] {
            assert_eq!(order(body), all, "{body}");
        }
    }

    #[test]
    fn amounts() {
        for total in ["0", "12.5", "\"12.50\"", "99999999999999.99"] {
            assert_eq!(order(&format!(r#"{{"total":{total}}}"#)), [""; 0], "{total}");
        }
        let number = "total must be a number conforming to the specified constraints";
        for total in ["1.001", "1e3", "100000000000000", "\"1.001\""] {
            assert_eq!(order(&format!(r#"{{"total":{total}}}"#)), [number], "{total}");
        }
        for total in ["\"abc\"", "true", "[1]", "{}", "-1.001"] {
            assert_eq!(order(&format!(r#"{{"total":{total}}}"#)), ["total must not be less than 0", number], "{total}");
        }
    }

    #[test]
    fn ids_are_integers_and_strings_of_digits_only_from_sockets() {
        let customer = |text: &str| order(&format!(r#"{{"total":1,"customerId":{text}}}"#));
        assert_eq!(customer("7"), [""; 0]);
        assert_eq!(customer("null"), [""; 0]);
        assert_eq!(customer("0"), ["customerId must be a positive number"]);
        assert_eq!(customer("1.5"), ["customerId must be an integer number"]);
        assert_eq!(customer("9223372036854775808"), ["customerId must be an integer number"]);
        assert_eq!(
            customer("\"7\""),
            ["customerId must be a positive number", "customerId must be a number conforming to the specified constraints"]
        );
        let payload = RawValue::from_string(r#"{"id":"7"}"#.into()).expect("JSON");
        let mut fields = Fields::of_event(&payload).expect("an object");
        assert_eq!(fields.required("id", id::<UserId>), Some(UserId(7)));
    }

    #[test]
    fn texts_passwords_and_words() {
        let account = |body: &str| {
            faults(body, |fields| {
                fields.required("email", email);
                fields.required("name", line);
                fields.required("password", password);
            })
        };
        assert_eq!(account(r#"{"email":"a@b.test","name":"A","password":"12345678"}"#), [""; 0]);
        assert_eq!(
            account(r#"{"email":"a@b","name":5,"password":"1234567"}"#),
            [
                "email must be an email",
                "name must be shorter than or equal to 255 characters",
                "name must be a string",
                "password must be longer than or equal to 8 characters"
            ]
        );
        assert_eq!(account(r#"{"email":"a@b.test","name":"","password":"12345678"}"#), ["name should not be empty"]);
        assert!(!account(r#"{"email":"a@b.test","name":"A\u0000","password":"12345678"}"#).is_empty());
        let status = faults(r#"{"status":"lost"}"#, |fields| {
            fields.required("status", word(OrderStatus::ALL));
        });
        assert_eq!(status, ["status must be one of the following values: pending, paid, shipped, delivered, cancelled"]);
    }

    #[test]
    fn a_body_that_is_no_object_has_one_text() {
        for (body, text) in [
            ("{", "Body is not valid JSON"),
            ("{}x", "Body is not valid JSON"),
            ("[]", "Body must be a JSON object"),
            ("1", "Body must be a JSON object"),
        ] {
            assert_eq!(Fields::parse(body.as_bytes()).expect_err("refused"), Error::BadRequest(text.into()), "{body}");
        }
        assert_eq!(Fields::parse(b"\xff").expect_err("refused"), Error::BadRequest("Body is not valid JSON".into()));
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_counts() {
        let mut fields = Fields::parse(br#"{"total":1,"total":2}"#).expect("an object");
        assert_eq!(fields.required("total", amount), Some(Money::from_minor(200)));
    }
}
