//! JSON Schema of payloads and answers, for `/openapi.json` and `/asyncapi.json`.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The place of the schemas in both documents.
const SCHEMAS: &str = "/components/schemas";

/// A generator for one of the documents, whose dialect of JSON Schema the settings are.
#[must_use]
pub fn generator(dialect: SchemaSettings) -> SchemaGenerator {
    let settings = dialect.with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    settings.with_transform(RecursiveTransform(for_readers)).for_serialize().into_generator()
}

/// Writes "anything" as `{}`, because some generators of code do not know the schema `true`, and
/// takes the brackets of Rust's links out of descriptions.
fn for_readers(schema: &mut Schema) {
    if schema.as_bool() == Some(true) {
        *schema = json_schema!({});
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace("[`", "`").replace("`]", "`");
    }
}

/// Adds the schema of `T` to the generator's definitions, and refers to it.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A reference to the schema of that name.
#[must_use]
pub fn reference(name: &str) -> Value {
    serde_json::json!({"$ref": format!("#{SCHEMAS}/{name}")})
}
