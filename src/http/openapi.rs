//! The OpenAPI 3.1 document, made from the same list of endpoints as the router.

use actix_web::http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::answers::Content;
use super::endpoint::Endpoint;
use super::endpoints;
use super::error::Failure;
use crate::event::generator;

/// The document of the server at that URL.
#[must_use]
pub fn document(server: &str) -> Value {
    let mut generator = generator(SchemaSettings::draft2020_12());
    let failure = generator.subschema_for::<Failure>().to_value();
    let mut paths = Map::new();
    for endpoint in endpoints::all() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[lower_case(&endpoint.method)] = operation(&endpoint, &failure, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hubcast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "REST calls write to the database, and the sockets that the change \
                            concerns get an event. /asyncapi.json has the events of sockets.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": server}],
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
    let token = json!([{"bearer": []}, {"cookie": []}]);
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [tag(endpoint.path)],
        "parameters": parameters(endpoint),
        "responses": responses(endpoint, failure, generator),
        "security": if endpoint.is_open { json!([]) } else { token },
    });
    if let Some(body) = &endpoint.signature.body {
        let content = json!({"application/json": {"schema": body.schema}});
        operation["requestBody"] = json!({"required": body.is_required, "content": content});
    }
    operation
}

fn lower_case(method: &Method) -> String {
    method.as_str().to_lowercase()
}

/// The domain that a path belongs to: its first segment.
fn tag(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// `patch_orders_id_ship`
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '-', '{', '}']).filter(|word| !word.is_empty());
    let method = lower_case(&endpoint.method);
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn parameters(endpoint: &Endpoint) -> Value {
    let signature = &endpoint.signature;
    let id = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
    let path = signature
        .path
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": id}));
    let query = signature.query.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": "query",
            "required": parameter.is_required,
            "schema": parameter.schema,
            "description": parameter.description,
        })
    });
    let key = signature.has_key.then(|| {
        json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {
                "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"
            },
            "description": "For 24 hours, a second request with the same key gets the first \
                            answer and does nothing",
        })
    });
    path.chain(query).chain(key).collect()
}

fn responses(endpoint: &Endpoint, failure: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let success = match endpoint.signature.content {
        Content::Nothing => json!({"description": "Done"}),
        Content::Json(schema) => {
            json!({"description": "Done", "content": content(schema(generator).to_value())})
        }
        Content::Page(schema) => {
            let items = json!({"type": "array", "items": schema(generator).to_value()});
            let link = json!({
                "description": "The next page, if there is one, as rel=\"next\" (RFC 8288)",
                "schema": {"type": "string"},
            });
            json!({"description": "A page", "content": content(items), "headers": {"Link": link}})
        }
        Content::Text(media_type) => {
            let text = json!({media_type: {"schema": {"type": "string"}}});
            json!({"description": "Done", "content": text})
        }
    };
    responses.insert(endpoint.signature.status.as_str().to_owned(), success);
    for status in refusals(endpoint) {
        let mut refusal =
            json!({"description": meaning(status), "content": content(failure.clone())});
        if status == 429 || status == 503 {
            let seconds = json!({"type": "integer", "minimum": 1});
            let header = json!({"description": "Seconds", "schema": seconds});
            refusal["headers"] = json!({"Retry-After": header});
        }
        responses.entry(status.to_string()).or_insert(refusal);
    }
    Value::Object(responses)
}

/// Statuses of failures: those that the signature implies, and those that the endpoint adds.
fn refusals(endpoint: &Endpoint) -> Vec<u16> {
    let signature = &endpoint.signature;
    let (has_id, has_body) = (!signature.path.is_empty(), signature.body.is_some());
    let has_query = !signature.query.is_empty();
    let implied = [
        (400, has_id || has_body || signature.has_key || has_query),
        (401, !endpoint.is_open),
        (404, has_id),
        (408, has_body),
        (413, has_body),
        (422, signature.has_key),
        (429, !endpoint.is_open),
        (500, !endpoint.is_open || has_body),
        (503, true),
    ];
    let mut statuses: Vec<u16> =
        implied.iter().filter(|(_, applies)| *applies).map(|(status, _)| *status).collect();
    statuses.extend(&endpoint.refusals);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is not valid; the message names every fault",
        401 => "No valid token",
        403 => "Not allowed for this caller",
        404 => "Not found, or not visible to this caller",
        409 => "The current state does not allow it",
        408 => "The body is too slow",
        413 => "Too large",
        422 => "The Idempotency-Key was used with another body",
        429 => "Too many requests",
        501 => "Not available on this server",
        503 => "Unavailable; nothing was written",
        _ => "A failure of the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_an_operation_with_its_own_id() {
        let document = document("http://127.0.0.1:3000");
        let all = endpoints::all();
        let mut names: Vec<String> = all.iter().map(operation_id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        for endpoint in &all {
            let operation = &document["paths"][endpoint.path][lower_case(&endpoint.method)];
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
