//! The OpenAPI 3.1 document, made of the list that the router is made of, and of the schemas that
//! bodies and answers have of themselves.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::{Answer, Endpoint};
use super::endpoints;
use super::error::Failure;

/// Where the schemas of things are.
const SCHEMAS: &str = "/components/schemas";

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let failure = generator.subschema_for::<Failure>().to_value();
    let mut paths = Map::new();
    for endpoint in endpoints::all() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_lowercase()] =
            operation(&endpoint, &failure, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "hubcast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "REST calls write to the database, and every socket that should know hears of it. What sockets send and hear is in /asyncapi.json.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "Authentication"}
            }
        }
    })
}

fn operation(endpoint: &Endpoint, failure: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [tag(endpoint.path)],
        "parameters": parameters(endpoint),
        "responses": responses(endpoint, failure, generator),
        "security": if endpoint.signed_in { json!([{"bearer": []}, {"cookie": []}]) } else { json!([]) },
    });
    if let Some(body) = &endpoint.body {
        operation["requestBody"] =
            json!({"required": !endpoint.bare, "content": {"application/json": {"schema": body}}});
    }
    operation
}

/// The family that a path belongs to: its first segment.
fn tag(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// `post_orders_id_ship`
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '-', '{', '}']).filter(|word| !word.is_empty());
    let method = endpoint.method.as_str().to_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

/// The names in braces.
fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn parameters(endpoint: &Endpoint) -> Value {
    let id = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
    let path = in_path(endpoint.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": id}));
    let query = endpoint.query.iter().map(|parameter| {
        json!({"name": parameter.name, "in": "query", "required": parameter.required, "schema": parameter.schema, "description": parameter.about})
    });
    let key = endpoint.once.then(|| {
        json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            "description": "The same key gives the first answer again, for 24 hours, and nothing is done twice",
        })
    });
    path.chain(query).chain(key).collect()
}

fn responses(endpoint: &Endpoint, failure: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    responses.insert(
        endpoint.status.to_string(),
        match &endpoint.answer {
            Answer::Nothing => json!({"description": "Done"}),
            Answer::Json(schema) => json!({"description": "Done", "content": content(schema(generator).to_value())}),
            Answer::Page(schema) => json!({
                "description": "A page",
                "content": content(json!({"type": "array", "items": schema(generator).to_value()})),
                "headers": {"Link": {"description": "The next page, as rel=\"next\", when there is one (RFC 8288)", "schema": {"type": "string"}}},
            }),
            Answer::Other(content) => json!({"description": "Done", "content": {*content: {"schema": {"type": "string"}}}}),
        },
    );
    for status in refusals(endpoint) {
        let mut refusal =
            json!({"description": meaning(status), "content": content(failure.clone())});
        if status == 429 || status == 503 {
            refusal["headers"] = json!({"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}});
        }
        responses.entry(status.to_string()).or_insert(refusal);
    }
    Value::Object(responses)
}

/// What a call's form brings with it, and what it says itself.
fn refusals(endpoint: &Endpoint) -> Vec<u16> {
    let has_id = in_path(endpoint.path).next().is_some();
    let has_body = endpoint.body.is_some();
    let by_form = [
        (400, has_id || has_body || endpoint.once || !endpoint.query.is_empty()),
        (401, endpoint.signed_in),
        (404, has_id),
        (413, has_body),
        (422, endpoint.once),
        (500, endpoint.signed_in || has_body),
        (503, true),
    ];
    let mut statuses: Vec<u16> =
        by_form.iter().filter(|(_, applies)| *applies).map(|(status, _)| *status).collect();
    statuses.extend(&endpoint.refusals);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "Something is wrong with the request; every fault is named",
        401 => "No valid token",
        403 => "Not allowed to this caller",
        404 => "Not there, or another's",
        409 => "The state does not allow it",
        413 => "Too large",
        422 => "The Idempotency-Key was used with another body",
        429 => "Too many at once",
        501 => "Not on this server",
        503 => "Not now; nothing was written",
        _ => "A fault of the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_there_once_with_a_name_of_its_own() {
        let document = document();
        let all = endpoints::all();
        let mut names: Vec<String> = all.iter().map(operation_id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        for endpoint in &all {
            let operation =
                &document["paths"][endpoint.path][endpoint.method.as_str().to_lowercase()];
            assert_eq!(
                operation["operationId"],
                operation_id(endpoint),
                "{} {}",
                endpoint.method,
                endpoint.path
            );
        }
    }
}
