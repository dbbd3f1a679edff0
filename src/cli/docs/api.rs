//! `api.md`: a table for each family of calls, made from the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::markdown::{code, sentence, table};
use super::schema::{notation, types};

const INTRODUCTION: &str = "\
# Calls

Bodies and answers are JSON. A token goes into the header `Authorization: Bearer TOKEN` or the
cookie `Authentication`. `/docs` on a running server has this page in a form to try calls with, and
`/openapi.json` as a document. [events.md](events.md) has the events that calls lead to.

In the tables a field with `?` may be left out, and a capitalised name is one of the
[types](#types) at the end.

- **Pages**: lists are newest first. The header `Link: <…>; rel=\"next\"` has the address of the
  next page, if there is one.
- **Retries**: a call that takes an `Idempotency-Key` gives the first answer again for the same key,
  for 24 hours, and does nothing twice.
- **Failures** have the body `Failure`. The tables name the status codes besides 500 (a fault of the
  server) and 503 (not now; nothing was written, and a retry can succeed).
";

/// The page.
pub(super) fn page(document: &Value) -> String {
    let mut families: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
    let mut statuses: BTreeMap<&str, &str> = BTreeMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let family = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("other");
            families.entry(family).or_default().push(row(method, path, operation));
            statuses.extend(failures(operation).map(|(status, why, _)| (status, why)));
        }
    }
    let sections = families.into_iter().map(|(family, rows)| {
        let heads = ["call", "for", "meaning", "takes", "answers", "failures"];
        format!("\n## {family}\n\n{}", table(&heads, rows))
    });
    let sections: String = sections.collect();
    let statuses = statuses.into_iter().map(|(status, why)| vec![status.to_owned(), sentence(why)]);
    let statuses = table(&["status", "meaning"], statuses);
    format!(
        "{INTRODUCTION}{sections}\n## Status codes of failures\n\n{statuses}{}",
        types(document, &[])
    )
}

fn row(method: &str, path: &str, operation: &Value) -> Vec<String> {
    let summary = operation.get("summary").and_then(Value::as_str).unwrap_or_default();
    let description = operation.get("description").and_then(Value::as_str).unwrap_or_default();
    let is_open = operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let failures: Vec<&str> = failures(operation)
        .filter(|(.., is_everywhere)| !is_everywhere)
        .map(|(status, ..)| status)
        .collect();
    vec![
        code(&format!("{} {path}", method.to_uppercase())),
        if is_open { "anyone" } else { "signed in" }.to_owned(),
        [sentence(summary), sentence(description)].join(" "),
        takes(operation),
        answers(operation),
        failures.join(", "),
    ]
}

/// The query, the header and the body.
fn takes(operation: &Value) -> String {
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let (mut query, mut headers) = (Vec::new(), Vec::new());
    for parameter in parameters {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        match parameter.get("in").and_then(Value::as_str) {
            Some("query") => query.push(format!("{name}=")),
            Some("header") => headers.push(code(name)),
            _ => {}
        }
    }
    let body = operation.pointer("/requestBody/content/application~1json/schema").map(notation);
    let body = body.map(|body| body.trim_end_matches(" or null").to_owned());
    let query = if query.is_empty() { None } else { Some(code(&format!("?{}", query.join("&")))) };
    let body = body.filter(|body| body != "{}").map(|body| code(&body));
    query.into_iter().chain(body).chain(headers).collect::<Vec<_>>().join(", ")
}

fn answers(operation: &Value) -> String {
    let successes = responses(operation).filter(|(status, _)| status.starts_with('2'));
    let answers = successes.map(|(status, response)| {
        let content = response.get("content").and_then(Value::as_object);
        let body = content.and_then(|content| content.iter().next()).map(|(kind, content)| {
            if kind == "application/json" {
                content.get("schema").map(notation).unwrap_or_default()
            } else {
                kind.clone()
            }
        });
        format!("{status} {}", code(&body.unwrap_or_default())).trim_end().to_owned()
    });
    answers.collect::<Vec<_>>().join(", ")
}

/// Status, reason, and whether every call can fail with it.
fn failures(operation: &Value) -> impl Iterator<Item = (&str, &str, bool)> {
    responses(operation).filter(|(status, _)| !status.starts_with('2')).map(|(status, response)| {
        let why = response.get("description").and_then(Value::as_str).unwrap_or_default();
        (status, why, matches!(status, "500" | "503"))
    })
}

fn responses(operation: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    responses.map(|(status, response)| (status.as_str(), response))
}
