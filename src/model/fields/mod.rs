//! Reads request bodies and event payloads. One pass over a JSON object collects all faults, in the
//! words and the order of NestJS with class-validator.
//!
//! A reader takes its known fields, and ends with [`Fields::finish`], which refuses the unknown
//! ones:
//!
//! ```
//! use hubcast::model::fields::{Fields, amount, id};
//! use hubcast::model::UserId;
//!
//! let mut fields = Fields::parse(br#"{"total":-1,"foo":2}"#).unwrap();
//! let total = fields.required("total", amount);
//! let customer = fields.optional("customerId", id::<UserId>);
//! let faults = fields.finish(|| Some((total?, customer?))).unwrap_err();
//! let expected = ["property foo should not exist", "total must not be less than 0"];
//! assert_eq!(faults.messages(), expected);
//! ```
//!
//! Faults come in this order: unknown fields, then known fields as they are read. Within a field,
//! the rules come in class-validator's order (last decorator first), so `should not be empty` is
//! last. A missing field breaks all of its rules.

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
    BrokenRules, FieldValue, amount, anything, at_most, email, flag, id, ids, ids_at_most, integer,
    json_len, non_empty, non_empty_title, object, one_of, password, person_name, positive_amount,
    single_line, text, title,
};

use crate::error::{Error, excerpt};

/// The source of an object. A socket may also send an id as a string of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodySource {
    Rest,
    Socket,
}

/// The fields of a JSON object that are not read yet. Numbers are kept as text, so nothing is
/// rounded.
#[derive(Debug)]
pub struct Fields<'a> {
    values: IndexMap<Cow<'a, str>, &'a RawValue>,
    source: BodySource,
    faults: Vec<String>,
    /// Set while a reader is run without an object, to collect its JSON Schema.
    collected: Option<Rc<RefCell<ObjectSchema>>>,
}

/// The JSON Schema of the fields that a reader takes.
#[derive(Debug, Default)]
struct ObjectSchema {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Parses a REST body. An empty one reads as `{}`, so that the faults name the missing fields.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the body is no JSON object.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let text = std::str::from_utf8(body)
            .map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?;
        Self::read(text, BodySource::Rest)
    }

    /// Parses the payload of a client event, in which an id may also be a string of digits.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the payload is no JSON object.
    pub fn of_event(payload: &'a str) -> Result<Self, Error> {
        Self::read(payload, BodySource::Socket)
    }

    fn read(text: &'a str, source: BodySource) -> Result<Self, Error> {
        let value: &RawValue = serde_json::from_str(text)
            .map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?;
        if !value.get().starts_with('{') {
            return Err(Error::BadRequest("Body must be a JSON object".into()));
        }
        // The text is valid JSON here: only a field name with an invalid \u escape can still fail.
        let values = serde_json::Deserializer::from_str(value.get()).deserialize_map(Object);
        Ok(Self {
            values: values.map_err(|_| Error::BadRequest("Body is not valid JSON".into()))?,
            source,
            faults: Vec::new(),
            collected: None,
        })
    }

    /// The JSON Schema (2020-12) of a reader of REST bodies: runs the reader without an object, and
    /// collects the schema of each rule.
    pub fn schema<T>(read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Value {
        Self::collect_schema(BodySource::Rest, read)
    }

    /// Like [`Fields::schema`], for a reader of client events.
    pub fn schema_of_event<T>(read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Value {
        Self::collect_schema(BodySource::Socket, read)
    }

    fn collect_schema<T>(
        source: BodySource,
        read: impl FnOnce(Fields<'_>) -> Result<T, Error>,
    ) -> Value {
        let collected = Rc::new(RefCell::new(ObjectSchema::default()));
        // Always fails: there are no values.
        let _ = read(Fields {
            values: IndexMap::new(),
            source,
            faults: Vec::new(),
            collected: Some(Rc::clone(&collected)),
        });
        let ObjectSchema { properties, required } = collected.take();
        let mut schema =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    /// While a schema is collected, adds the field to it and returns true.
    fn describe<T>(
        &self,
        name: &str,
        required: bool,
        rule: impl FnOnce(FieldValue<'_>) -> Result<T, BrokenRules>,
    ) -> bool {
        let Some(collected) = &self.collected else { return false };
        let schema = RefCell::new(json!({}));
        let _ = rule(FieldValue { value: None, source: self.source, collected: Some(&schema) });
        let mut schema = schema.into_inner();
        let mut collected = collected.borrow_mut();
        if required {
            if schema["type"] == "string"
                && schema.get("enum").is_none()
                && schema.get("minLength").is_none()
            {
                schema["minLength"] = 1.into();
            }
            collected.required.push(name.to_owned());
        } else if schema != json!({}) {
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            schema = json!({"anyOf": [schema, {"type": "null"}]});
            if let Some(about) = about {
                schema["description"] = about;
            }
        }
        collected.properties.insert(name.to_owned(), schema);
        true
    }

    /// Reads a required field; `null` and the empty string count as missing. Returns `None` if the
    /// field has a fault, which is recorded.
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
        match rule(FieldValue { value, source: self.source, collected: None }) {
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

    /// Reads a field that may be left out or `null`. Returns the outer `None` if the field has a
    /// fault, which is recorded.
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
        match rule(FieldValue { value: Some(value), source: self.source, collected: None }) {
            Ok(value) => Some(Some(value)),
            Err(broken) => {
                self.note(name, broken);
                None
            }
        }
    }

    /// Reads a nested object with `read`; its faults get the name of the field. Returns `None` if
    /// the field has a fault, which is recorded.
    pub fn nested<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Fields<'_>) -> Result<T, Error>,
    ) -> Option<T> {
        if self.collected.is_some() {
            let schema = Self::collect_schema(self.source, read);
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

    /// Reads each object of a list with `read`. The list may be left out or `null`, but not be
    /// empty. Faults get the name of the field and the index. Returns the outer `None` if the field
    /// has a fault, which is recorded.
    pub fn list<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(Fields<'_>) -> Result<T, Error>,
    ) -> Option<Option<Vec<T>>> {
        if self.collected.is_some() {
            let items = Self::collect_schema(self.source, read);
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
            FieldValue { value: Some(value), source: self.source, collected: None },
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

    /// Returns true if a field is given, and not `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        // While a schema is collected, every field counts as given.
        self.collected.is_some() || self.values.get(name).is_some_and(|value| value.get() != "null")
    }

    /// Returns true if a field is given as `null`, which [`Fields::optional`] takes for missing.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.get() == "null")
    }

    /// Adds a fault of more than one field.
    pub fn add_fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Refuses the fields that were not read, or returns the result of `build`.
    ///
    /// # Errors
    /// [`Error::Faults`] with all faults, up to a bound.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        if self.collected.is_some() {
            return Err(Error::Internal);
        }
        let unknown = self.values.keys();
        let unknown = unknown.map(|name| format!("property {} should not exist", excerpt(name)));
        let mut faults = unknown.chain(self.faults).peekable();
        if faults.peek().is_some() {
            return Err(Error::faults(faults));
        }
        // `build` returns `None` only for a field with a fault, and there is none.
        build().ok_or(Error::Internal)
    }

    /// Adds the faults of a nested object.
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

/// Reads a body or a payload without fields.
pub fn no_fields(fields: Fields<'_>) -> Result<(), Error> {
    fields.finish(|| Some(()))
}

struct Object;

impl<'a> Visitor<'a> for Object {
    type Value = IndexMap<Cow<'a, str>, &'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = IndexMap::new();
        // The last value of a repeated name counts, as with `JSON.parse`.
        while let Some((name, value)) = map.next_entry::<String, &'a RawValue>()? {
            values.insert(Cow::Owned(name), value);
        }
        Ok(values)
    }
}
