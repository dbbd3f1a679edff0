//! Names for the parts of a schema. Generators of code make a type of each object, choice and enum,
//! and number those without a name.

use serde_json::{Map, Value};

/// Gives every part of the schema that becomes a type of its own a title: `NAME` and the path to
/// the part.
pub(super) fn name_parts(schema: &mut Value, name: &str) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (key, part) in properties {
            name_whole(part, &format!("{name}{}", pascal(key)));
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(part) = object.get_mut(key) {
            name_whole(part, &format!("{name}Item"));
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for part in object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            let variant = part.as_object().map(variant).unwrap_or_default();
            name_whole(part, &format!("{name}{variant}"));
        }
    }
}

fn name_whole(schema: &mut Value, name: &str) {
    if let Some(object) = schema.as_object_mut().filter(|object| is_type(object)) {
        object.entry("title").or_insert_with(|| name.into());
    }
    name_parts(schema, name);
}

fn is_type(schema: &Map<String, Value>) -> bool {
    let is_several = schema.get("type").is_some_and(Value::is_array);
    is_several
        || ["properties", "enum", "anyOf", "oneOf", "allOf"]
            .iter()
            .any(|key| schema.contains_key(*key))
}

/// The name of an alternative: the word that marks it, else its first required field, else its
/// type.
fn variant(schema: &Map<String, Value>) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mark = properties.and_then(|fields| fields.values().find_map(|field| word(field)));
    let required = schema.get("required").and_then(|required| required.get(0)?.as_str());
    let kind = schema.get("type").and_then(Value::as_str);
    pascal(mark.or(required).or(kind).unwrap_or_default())
}

/// The one text that a field can be.
fn word(field: &Value) -> Option<&str> {
    let constant = field.get("const").and_then(Value::as_str);
    let only = || field.get("enum")?.as_array().filter(|words| words.len() == 1)?.first()?.as_str();
    constant.or_else(only)
}

/// `notification:read-all` as `NotificationReadAll`.
pub(super) fn pascal(name: &str) -> String {
    name.split(|letter: char| !letter.is_alphanumeric())
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_written_as_that_of_a_type() {
        for (name, expected) in [
            ("notification:read-all", "NotificationReadAll"),
            ("joinRoom", "JoinRoom"),
            ("new_order", "NewOrder"),
            ("", ""),
        ] {
            assert_eq!(pascal(name), expected);
        }
    }

    #[test]
    fn objects_choices_and_enums_have_names_and_plain_values_have_none() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                "kind": {"enum": ["a", "b"]},
                "list": {"type": "array", "items": {"type": "object", "properties": {}}},
                "text": {"type": "string"},
                "named": {"title": "Own", "enum": ["c"]},
                "other": {"$ref": "#/components/schemas/Other"},
            },
            "oneOf": [
                {"type": "object", "properties": {"type": {"const": "status_change"}}},
                {"type": "object", "properties": {"all": {}}, "required": ["all"]},
            ],
        });
        name_parts(&mut schema, "Event");
        let expected = json!({
            "type": "object",
            "properties": {
                "id": {"title": "EventId", "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "kind": {"title": "EventKind", "enum": ["a", "b"]},
                "list": {
                    "type": "array",
                    "items": {"title": "EventListItem", "type": "object", "properties": {}},
                },
                "text": {"type": "string"},
                "named": {"title": "Own", "enum": ["c"]},
                "other": {"$ref": "#/components/schemas/Other"},
            },
            "oneOf": [
                {
                    "title": "EventStatusChange",
                    "type": "object",
                    "properties": {"type": {"const": "status_change"}},
                },
                {
                    "title": "EventAll",
                    "type": "object",
                    "properties": {"all": {}},
                    "required": ["all"],
                },
            ],
        });
        assert_eq!(schema, expected);
    }
}
