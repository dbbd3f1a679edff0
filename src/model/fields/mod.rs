//! The reading of request bodies: one pass over a JSON object gives every fault in it, in
//! class-validator's words, as NestJS's pipe lists them.
//!
//! Both doors use it. A reader takes the fields that it knows, and ends with [`Fields::end`], which
//! refuses the ones it does not:
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
//! Faults come in the order that NestJS gives: unknown fields first, then the known ones as they
//! are read; for one field the rules from the last decorator to the first, so `should not be empty`
//! is last. A missing field breaks all of its rules.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

mod rules;
#[cfg(test)]
mod tests;

pub use rules::{
    BrokenRules, FieldValue, amount, anything, at_most, email, filled, flag, id, ids, integer,
    json_len, line, object, password, positive_amount, text, word,
};

use crate::error::Error;

/// Where a body came from: what is allowed depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodySource {
    Rest,
    Socket,
}

/// A JSON object whose fields are still to be taken. Numbers keep their text.
#[derive(Debug)]
pub struct Fields<'a> {
    values: IndexMap<Cow<'a, str>, &'a RawValue>,
    source: BodySource,
    faults: Vec<String>,
    /// What is asked for, when there is no object and only that is wanted.
    sketch: Option<Rc<RefCell<ObjectSchema>>>,
}

/// Fields as JSON Schema.
#[derive(Debug, Default)]
struct ObjectSchema {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Of a REST body. One that is empty reads as `{}`, so that the faults say what is missing.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is not JSON, or not an object.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let text = std::str::from_utf8(body)
            .map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?;
        Self::read(text, BodySource::Rest)
    }

    /// Of a socket event's payload, JSON text: there an id may also be a string of digits.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is not an object.
    pub fn of_event(payload: &'a str) -> Result<Self, Error> {
        Self::read(payload, BodySource::Socket)
    }

    fn read(text: &'a str, source: BodySource) -> Result<Self, Error> {
        let value: &RawValue = serde_json::from_str(text)
            .map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?;
        if !value.get().starts_with('{') {
            return Err(Error::BadRequest("Body must be a JSON object".into()));
        }
        // What is an object of raw values by now cannot fail to be read as one, but for names that
        // are broken UTF-16.
        let values = serde_json::Deserializer::from_str(value.get()).deserialize_map(Object);
        Ok(Self {
            values: values.map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?,
            source,
            faults: Vec::new(),
            sketch: None,
        })
    }

    /// What a reader of REST bodies takes, as JSON Schema (2020-12): the reader is run, and each
    /// rule says what it is.
    pub fn schema<T>(read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Value {
        Self::sketched(BodySource::Rest, read)
    }

    /// As [`Fields::schema`], of a reader of socket events.
    pub fn schema_of_event<T>(read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Value {
        Self::sketched(BodySource::Socket, read)
    }

    fn sketched<T>(source: BodySource, read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Value {
        let sketch = Rc::new(RefCell::new(ObjectSchema::default()));
        // It always fails: there are no values.
        let _ = read(Fields {
            values: IndexMap::new(),
            source,
            faults: Vec::new(),
            sketch: Some(Rc::clone(&sketch)),
        });
        let ObjectSchema { properties, required } = sketch.take();
        let mut schema =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    /// In a description: notes what a field takes.
    fn describe<T>(
        &self,
        name: &str,
        required: bool,
        rule: impl FnOnce(FieldValue<'_>) -> Result<T, BrokenRules>,
    ) -> bool {
        let Some(sketch) = &self.sketch else { return false };
        let schema = RefCell::new(json!({}));
        let _ = rule(FieldValue { value: None, source: self.source, sketch: Some(&schema) });
        let mut schema = schema.into_inner();
        let mut sketch = sketch.borrow_mut();
        if required {
            if schema["type"] == "string"
                && schema.get("enum").is_none()
                && schema.get("minLength").is_none()
            {
                schema["minLength"] = 1.into();
            }
            sketch.required.push(name.to_owned());
        } else {
            schema = json!({"anyOf": [schema, {"type": "null"}]});
        }
        sketch.properties.insert(name.to_owned(), schema);
        true
    }

    /// A field that has to be there; `null` and the empty string count as missing. None: the fault
    /// is noted.
    pub fn required<T>(
        &mut self,
        name: &str,
        rule: impl Fn(FieldValue<'_>) -> Result<T, BrokenRules>,
    ) -> Option<T> {
        if self.describe(name, true, &rule) {
            return None;
        }
        let value = self.values.shift_remove(name).filter(|value| value.get() != "null");
        let empty = value.is_none_or(|value| value.get() == "\"\"");
        match rule(FieldValue { value, source: self.source, sketch: None }) {
            Ok(value) if !empty => Some(value),
            broken => {
                self.note(name, broken.err().unwrap_or_default());
                if empty {
                    self.note(name, vec![Cow::Borrowed("should not be empty")]);
                }
                None
            }
        }
    }

    /// A field that may be left out or be `null`. None on the outside: the fault is noted.
    pub fn optional<T>(
        &mut self,
        name: &str,
        rule: impl Fn(FieldValue<'_>) -> Result<T, BrokenRules>,
    ) -> Option<Option<T>> {
        if self.describe(name, false, &rule) {
            return None;
        }
        let Some(value) = self.values.shift_remove(name).filter(|value| value.get() != "null")
        else {
            return Some(None);
        };
        match rule(FieldValue { value: Some(value), source: self.source, sketch: None }) {
            Ok(value) => Some(Some(value)),
            Err(broken) => {
                self.note(name, broken);
                None
            }
        }
    }

    /// An object within, read by `read`; its faults are told with its name before theirs. None on
    /// the outside: a fault is noted.
    pub fn nested<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Fields<'_>) -> Result<T, Error>,
    ) -> Option<T> {
        if self.sketch.is_some() {
            let schema = Self::sketched(self.source, read);
            self.describe(name, true, |given: FieldValue<'_>| given.describe(|| schema));
            return None;
        }
        let Some(value) =
            self.values.shift_remove(name).filter(|value| value.get().starts_with('{'))
        else {
            self.note(name, vec![Cow::Borrowed("must be an object")]);
            return None;
        };
        match Self::read(value.get(), self.source).and_then(read) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note_within(name, &error);
                None
            }
        }
    }

    /// A list of objects that may be left out or be `null`, but not be empty, each read by `read`;
    /// their faults are told with the list's name and their place in it before them. None on the
    /// outside: a fault is noted.
    pub fn list<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(Fields<'_>) -> Result<T, Error>,
    ) -> Option<Option<Vec<T>>> {
        if self.sketch.is_some() {
            let items = Self::sketched(self.source, read);
            self.describe(name, false, |given: FieldValue<'_>| {
                given.describe(
                    || json!({"type": "array", "items": items, "minItems": 1, "maxItems": most}),
                )
            });
            return None;
        }
        let Some(value) = self.values.shift_remove(name).filter(|value| value.get() != "null")
        else {
            return Some(None);
        };
        let values = match rules::elements(
            FieldValue { value: Some(value), source: self.source, sketch: None },
            most,
        ) {
            Ok(values) => values,
            Err(broken) => {
                self.note(name, broken);
                return None;
            }
        };
        let mut list = Vec::with_capacity(values.len());
        for (at, value) in values.into_iter().enumerate() {
            if !value.get().starts_with('{') {
                self.faults.push(format!(
                    "each value in nested property {name} must be either object or array"
                ));
                continue;
            }
            match Self::read(value.get(), self.source).and_then(&mut read) {
                Ok(value) => list.push(value),
                Err(error) => self.note_within(&format!("{name}.{at}"), &error),
            }
        }
        Some(Some(list))
    }

    /// Whether a field is there, and not `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        // In a description every field is.
        self.sketch.is_some() || self.values.get(name).is_some_and(|value| value.get() != "null")
    }

    /// Notes a fault that is of more than one field.
    pub fn refuse(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Refuses what was not taken, and gives what `build` makes of the rest.
    ///
    /// # Errors
    /// [`Error::Faults`] with everything that was found.
    pub fn end<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        if self.sketch.is_some() {
            return Err(Error::Internal);
        }
        let unknown = self.values.keys().map(|name| format!("property {name} should not exist"));
        let faults: Vec<String> = unknown.chain(self.faults).collect();
        if !faults.is_empty() {
            return Err(Error::Faults(faults));
        }
        // `build` fails only for a field whose fault was noted above.
        build().ok_or(Error::Internal)
    }

    /// The faults of an object within.
    fn note_within(&mut self, name: &str, error: &Error) {
        self.faults.extend(error.messages().into_iter().map(|fault| {
            match fault.strip_prefix("property ") {
                Some(unknown) => format!("{name}.property {unknown}"),
                None => format!("{name}.{fault}"),
            }
        }));
    }

    fn note(&mut self, name: &str, broken: BrokenRules) {
        self.faults.extend(broken.into_iter().map(|rule| format!("{name} {rule}")));
    }
}

/// A body or a payload that says nothing.
///
/// # Errors
/// [`Error::Faults`] for whatever it says.
pub fn nothing(fields: Fields<'_>) -> Result<(), Error> {
    fields.end(|| Some(()))
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
