//! How the answer under an Idempotency-Key is kept: without the long texts that the request's body
//! has too. A key counts only with the same body, so they can be put back.

use serde_json::{Map, Value};

/// Shorter texts are kept as they are, in bytes.
const LONG: usize = 64;
/// The field of the object that stands for a text of the body: its number among the body's texts.
const FROM_BODY: &str = "$body";

/// The JSON text to keep of an answer, itself JSON text, to a request with that body.
pub(super) fn shortened(answer: String, body: &[u8]) -> String {
    if answer.len() <= LONG || answer.contains(FROM_BODY) {
        return answer;
    }
    let parsed = (serde_json::from_slice::<Value>(body), serde_json::from_str::<Value>(&answer));
    let (Ok(body), Ok(mut value)) = parsed else { return answer };
    let texts = texts_of(&body);
    replace(&mut value, &mut |value| {
        let text = value.as_str().filter(|text| text.len() > LONG)?;
        let number = texts.iter().position(|own| *own == text)?;
        Some(Value::Object(Map::from_iter([(FROM_BODY.to_owned(), number.into())])))
    });
    value.to_string()
}

/// The answer again. `None` if the kept text is not one that [`shortened`] has made with that body.
pub(super) fn whole(kept: String, body: &[u8]) -> Option<String> {
    if !kept.contains(FROM_BODY) {
        return Some(kept);
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let mut value: Value = serde_json::from_str(&kept).ok()?;
    let texts = texts_of(&body);
    replace(&mut value, &mut |value| {
        let number = value.as_object().filter(|fields| fields.len() == 1)?.get(FROM_BODY)?;
        let number = usize::try_from(number.as_u64()?).ok()?;
        texts.get(number).map(|text| Value::from(*text))
    });
    Some(value.to_string())
}

/// The long texts in a value, in an order that only depends on the value.
fn texts_of(value: &Value) -> Vec<&str> {
    let (mut texts, mut rest) = (Vec::new(), vec![value]);
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) if text.len() > LONG => texts.push(text.as_str()),
            Value::Array(values) => rest.extend(values),
            Value::Object(fields) => rest.extend(fields.values()),
            _ => {}
        }
    }
    texts
}

/// Replaces the values within `value` for which `by` has another one.
fn replace(value: &mut Value, by: &mut impl FnMut(&Value) -> Option<Value>) {
    if let Some(other) = by(value) {
        *value = other;
        return;
    }
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, by)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, by)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_texts_of_the_body_are_left_out_and_put_back() {
        let (long, other) = ("ä\"".repeat(5_000), "b".repeat(100));
        let body = json!({"a": ["short", other], "name": "Tea", "text": long}).to_string();
        let answer = json!({"id": 5, "name": "Tea", "text": long, "by": {"other": other}, "own":
            "c".repeat(100), "none": null});
        let kept = shortened(answer.to_string(), body.as_bytes());
        assert!(kept.len() < 300, "{kept}");
        let again = whole(kept, body.as_bytes()).and_then(|text| serde_json::from_str(&text).ok());
        assert_eq!(again, Some(answer));
    }

    #[test]
    fn other_answers_are_kept_whole() {
        let long = "x".repeat(100);
        for (answer, body) in [
            (json!({"name": "Tea"}), json!({"name": "Tea"}).to_string()),
            (json!({"name": long}), String::new()),
            (json!({"name": long}), json!({"name": format!("{long}y")}).to_string()),
            (json!({"$body": 0, "name": long}), json!({"name": long}).to_string()),
        ] {
            assert_eq!(shortened(answer.to_string(), body.as_bytes()), answer.to_string());
        }
        let kept = json!({"name": long}).to_string();
        assert_eq!(whole(kept.clone(), b""), Some(kept), "as an earlier version kept it");
    }
}
