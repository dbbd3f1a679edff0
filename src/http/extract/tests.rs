use actix_web::test::TestRequest;

use super::*;
use crate::auth::{IssuedAt, TokenId};
use crate::model::{Role, Timestamp};

#[test]
fn path_ids_are_read_as_nestjs_reads_them() {
    let read = |text: &str| Id::<OrderId>::read(text);
    assert_eq!(read("5"), Ok(OrderId(5)));
    for text in ["", "-", "abc", "5x", "1.5", "+5", " 5"] {
        assert_eq!(
            read(text),
            Err(Error::BadRequest("Validation failed (numeric string is expected)".into())),
            "{text}"
        );
    }
    for text in ["0", "-5", "99999999999999999999"] {
        assert_eq!(
            read(text),
            Err(Error::NotFound(format!("Order with ID {text} not found"))),
            "{text}"
        );
    }
}

#[test]
fn a_key_is_visible_ascii() {
    let of = |key: &str| {
        let http = TestRequest::post()
            .uri("/orders")
            .insert_header(("idempotency-key", key))
            .to_http_request();
        let identity =
            Identity { user: UserId(7), role: Role::Customer, expires_at: Timestamp::now() };
        let token = Token { identity, id: TokenId::NONE, issued_at: IssuedAt::Time(0) };
        let body = Ok(web::Bytes::from_static(b"{}"));
        Once::extract(&Request { http, token: Some(token), body })
    };
    assert!(matches!(of("a"), Ok(Once::Key(Claim { path, .. })) if path == "/orders"));
    assert!(of(&"k".repeat(255)).is_ok());
    for key in ["", "a b", "ä", &"k".repeat(256)] {
        assert!(matches!(of(key), Err(Error::BadRequest(_))), "{key}");
    }
}
