//! The values that are read from bodies, and the message of every fault.

use super::*;
use crate::model::{Money, OrderStatus, UserId};

fn faults(body: &str, read: impl FnOnce(&mut Fields<'_>)) -> Vec<String> {
    let mut fields = Fields::parse(body.as_bytes()).expect("an object");
    read(&mut fields);
    match fields.finish(|| Some(())) {
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
        assert_eq!(
            order(&format!(r#"{{"total":{total}}}"#)),
            ["total must not be less than 0", number],
            "{total}"
        );
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
        [
            "customerId must be a positive number",
            "customerId must be a number conforming to the specified constraints"
        ]
    );
    let mut fields = Fields::of_event(r#"{"id":"7"}"#).expect("an object");
    assert_eq!(fields.required("id", id::<UserId>), Some(UserId(7)));
}

#[test]
fn texts_passwords_and_words() {
    let account = |body: &str| {
        faults(body, |fields| {
            fields.required("email", email);
            fields.required("name", single_line);
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
    assert_eq!(
        account(r#"{"email":"a@b.test","name":"","password":"12345678"}"#),
        ["name should not be empty"]
    );
    assert!(!account(r#"{"email":"a@b.test","name":"A\u0000","password":"12345678"}"#).is_empty());
    let status = faults(r#"{"status":"lost"}"#, |fields| {
        fields.required("status", one_of(OrderStatus::ALL));
    });
    assert_eq!(
        status,
        [concat!(
            "status must be one of the following values: ",
            "pending, paid, shipped, delivered, cancelled"
        )]
    );
}

#[test]
fn a_body_that_is_no_object_has_one_text() {
    for (body, text) in [
        ("{", "Body is not valid JSON"),
        ("{}x", "Body is not valid JSON"),
        ("[]", "Body must be a JSON object"),
        ("1", "Body must be a JSON object"),
    ] {
        assert_eq!(
            Fields::parse(body.as_bytes()).expect_err("refused"),
            Error::BadRequest(text.into()),
            "{body}"
        );
    }
    assert_eq!(
        Fields::parse(b"\xff").expect_err("refused"),
        Error::BadRequest("Body is not valid JSON".into())
    );
}

#[test]
fn the_last_value_of_a_repeated_name_counts() {
    let mut fields = Fields::parse(br#"{"total":1,"total":2}"#).expect("an object");
    assert_eq!(fields.required("total", amount), Some(Money::from_minor(200)));
}

#[test]
fn flags_lists_objects_and_long_texts() {
    let all = |body: &str| {
        faults(body, |fields| {
            fields.optional("all", flag);
            fields.optional("userIds", ids::<UserId>);
            fields.optional("data", object);
            fields.optional("content", at_most(3));
        })
    };
    let valid = r#"{"all":true,"userIds":[1,2,1],"data":{"a":[1]},"content":"äöü"}"#;
    assert_eq!(all(valid), [""; 0]);
    assert_eq!(
        all(r#"{"all":"true","userIds":[1,"2"],"data":[],"content":"four"}"#),
        [
            "all must be a boolean value",
            "userIds must be an array of positive integer numbers",
            "data must be an object",
            "content must be shorter than or equal to 3 characters"
        ]
    );
    let mut fields = Fields::parse(br#"{"userIds":[2,1,2]}"#).expect("an object");
    assert_eq!(fields.required("userIds", ids::<UserId>), Some(vec![UserId(2), UserId(1)]));
    let many = format!(r#"{{"userIds":[{}1]}}"#, "1,".repeat(1000));
    assert_eq!(all(&many), ["userIds must contain no more than 1000 elements"]);
}

#[test]
fn faults_of_a_nested_object_have_its_name() {
    let message = |body: &str| {
        faults(body, |fields| {
            fields.nested("message", |mut inner| {
                let content = inner.required("content", text);
                inner.finish(|| content)
            });
        })
    };
    assert_eq!(message(r#"{"message":{"content":"Hello"}}"#), [""; 0]);
    assert_eq!(
        message(r#"{"message":{"content":5,"x":1}}"#),
        ["message.property x should not exist", "message.content must be a string"]
    );
    assert_eq!(message(r#"{"message":"Hello"}"#), ["message must be an object"]);
    assert_eq!(message("{}"), ["message must be an object"]);
}

#[test]
fn the_bytes_of_a_text_inside_json_are_counted() {
    for (text, bytes) in [("", 0), ("abc", 3), ("ä", 2), (r#"a"\"#, 5), ("\u{1}", 6)] {
        assert_eq!(json_len(text), bytes, "{text:?}");
        assert_eq!(
            serde_json::to_string(text).map(|json| json.len() - 2).ok(),
            Some(bytes),
            "{text:?}"
        );
    }
}

#[test]
fn integers_have_a_range() {
    let rating = |text: &str| {
        faults(&format!(r#"{{"rating":{text}}}"#), |fields| {
            fields.required("rating", integer(1, 5));
        })
    };
    for good in ["1", "5"] {
        assert_eq!(rating(good), [""; 0], "{good}");
    }
    let [large, small, whole] = [
        "rating must not be greater than 5",
        "rating must not be less than 1",
        "rating must be an integer number",
    ];
    for (text, faults) in [
        ("6", vec![large]),
        ("99999999999999999999", vec![large, whole]),
        ("0", vec![small]),
        ("-1.5", vec![small, whole]),
        ("4.5", vec![whole]),
        ("\"4\"", vec![large, small, whole]),
        ("null", vec![large, small, whole, "rating should not be empty"]),
    ] {
        assert_eq!(rating(text), faults, "{text}");
    }
}

#[test]
fn an_amount_can_be_required_to_be_positive() {
    let pay = |text: &str| {
        faults(&format!(r#"{{"amount":{text}}}"#), |fields| {
            fields.required("amount", positive_amount);
        })
    };
    let number = "amount must be a number conforming to the specified constraints";
    assert_eq!(pay("0.01"), [""; 0]);
    for (text, faults) in [
        ("0", vec!["amount must be a positive number"]),
        ("\"-0.00\"", vec!["amount must be a positive number"]),
        ("-1", vec!["amount must be a positive number"]),
        ("0.001", vec![number]),
        ("[]", vec!["amount must be a positive number", number]),
    ] {
        assert_eq!(pay(text), faults, "{text}");
    }
}

#[test]
fn a_lists_faults_say_where_they_are() {
    let items = |text: &str| {
        faults(&format!(r#"{{"items":{text}}}"#), |fields| {
            fields.list("items", 2, |mut item| {
                let quantity = item.required("quantity", integer(1, 9));
                item.finish(|| quantity)
            });
        })
    };
    for good in [r#"[{"quantity":1},{"quantity":9}]"#, "null"] {
        assert_eq!(items(good), [""; 0], "{good}");
    }
    for text in ["5", "{}", "\"[]\""] {
        assert_eq!(items(text), ["items must be an array"], "{text}");
    }
    assert_eq!(items("[]"), ["items must contain at least 1 elements"]);
    assert_eq!(items("[1,2,3]"), ["items must contain no more than 2 elements"]);
    assert_eq!(
        items(r#"[5,{"quantity":0,"foo":1}]"#),
        [
            "each value in nested property items must be either object or array",
            "items.1.property foo should not exist",
            "items.1.quantity must not be less than 1"
        ]
    );
}
