//! JSON Schema in a short notation, for the cells of a table: `{name: string, stock?: integer}`.
//!
//! `?` marks a field that may be left out or be null; a capitalised name is one of the types that
//! the page lists at its end.

use serde_json::{Map, Value};

use super::markdown::{code, sentence, table};

/// The notation of a schema.
pub(super) fn notation(schema: &Value) -> String {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return alternatives(values.iter().map(Value::to_string));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(schemas) = schema.get(key).and_then(Value::as_array) {
            return alternatives(schemas.iter().map(notation));
        }
    }
    if let Some(schemas) = schema.get("allOf").and_then(Value::as_array) {
        return schemas.iter().map(notation).collect::<Vec<_>>().join(" and ");
    }
    match schema.get("type") {
        Some(Value::String(name)) => of_type(name, schema),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            alternatives(names.map(|name| of_type(name, schema)))
        }
        _ => "any".to_owned(),
    }
}

fn of_type(name: &str, schema: &Value) -> String {
    match (name, schema.get("items"), schema.get("properties").and_then(Value::as_object)) {
        ("array", Some(items), _) => format!("[{}]", notation(items)),
        ("object", _, Some(properties)) => fields(schema, properties),
        ("string", ..) if schema.get("format").is_some_and(|format| format == "date-time") => {
            "time".to_owned()
        }
        _ => name.to_owned(),
    }
}

fn fields(schema: &Value, properties: &Map<String, Value>) -> String {
    let fields: Vec<String> = properties
        .iter()
        .map(|(name, field)| {
            if is_required(schema, name) {
                format!("{name}: {}", notation(field))
            } else {
                format!("{name}?: {}", without_null(&notation(field)))
            }
        })
        .collect();
    format!("{{{}}}", fields.join(", "))
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

/// Each alternative once.
fn alternatives(notations: impl Iterator<Item = String>) -> String {
    let mut list: Vec<String> = Vec::new();
    for notation in notations {
        if !list.contains(&notation) {
            list.push(notation);
        }
    }
    list.join(" or ")
}

fn without_null(notation: &str) -> &str {
    notation.strip_suffix(" or null").unwrap_or(notation)
}

/// The schema of the document that a `$ref` refers to.
pub(super) fn named<'a>(document: &'a Value, reference: &Value) -> Option<&'a Value> {
    document.pointer(reference.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// The last section of a page: the types that the notation names, a table of fields each, but those
/// that the page has in its tables.
pub(super) fn types(document: &Value, in_tables: &[&str]) -> String {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let schemas = schemas.into_iter().flatten();
    let sections =
        schemas.filter(|(name, _)| !in_tables.contains(&name.as_str())).map(|(name, schema)| {
            let about = sentence(description(schema));
            let about = if about.is_empty() { about } else { format!("{about}\n\n") };
            format!("\n### {name}\n\n{about}{}", type_table(schema))
        });
    format!("\n## Types\n{}", sections.collect::<String>())
}

fn type_table(schema: &Value) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return format!("{}\n", code(&notation(schema)));
    };
    let rows = properties.iter().map(|(name, field)| {
        let name = if is_required(schema, name) { code(name) } else { code(&format!("{name}?")) };
        vec![name, code(&notation(field)), sentence(description(field))]
    });
    table(&["field", "type", "meaning"], rows)
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_short() {
        let body = json!({
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "at": {"type": ["string", "null"], "format": "date-time"},
                "kind": {"enum": ["a", "b"]},
                "data": {},
            },
            "required": ["items", "at", "kind"],
        });
        assert_eq!(
            notation(&body),
            r#"{at: time or null, data?: any, items: [Item], kind: "a" or "b", note?: string}"#
        );
        assert_eq!(notation(&json!({"anyOf": [{"type": "string"}, {"type": "string"}]})), "string");
    }
}
