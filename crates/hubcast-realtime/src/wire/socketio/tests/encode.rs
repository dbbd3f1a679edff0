//! Packets as the server writes them. The expected bytes are the examples of socket.io-protocol v5.

use super::*;

#[test]
fn text_packets_match_the_documented_bytes() {
    assert_eq!(connect("/", "x", None), r#"40{"sid":"x"}"#);
    assert_eq!(
        connect("/admin", "oSO0OpakMV_3jnilAAAA", None),
        r#"40/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#
    );
    assert_eq!(connect("/admin", "x", Some("p")), r#"40/admin,{"sid":"x","pid":"p"}"#);
    assert_eq!(connect_error("/", "Not authorized", None), r#"44{"message":"Not authorized"}"#);
    assert_eq!(connect_error("/admin", "Forbidden", None), r#"44/admin,{"message":"Forbidden"}"#);
    assert_eq!(
        connect_error("/", "Unauthorized", Some(r#"{"code":1}"#)),
        r#"44{"message":"Unauthorized","data":{"code":1}}"#
    );
    assert_eq!(
        event("/admin", "new_order", None, r#"{"orderId":1}"#, None),
        r#"42/admin,["new_order",{"orderId":1}]"#
    );
    assert_eq!(event("/", "a", None, "1", Some("7.5.0")), r#"42["a",1,"7.5.0"]"#);
    assert_eq!(event("/", "foo", None, "", None), r#"42["foo"]"#);
    assert_eq!(event("/", "foo", None, "", Some("7.5")), r#"42["foo","7.5"]"#);
    assert_eq!(event("/", "foo", Some(12), "", None), r#"4212["foo"]"#);
    assert_eq!(event("/admin", "a\"b", Some(12), "1,{}", None), r#"42/admin,12["a\"b",1,{}]"#);
    assert_eq!(ack("/", "7", "true"), "437[true]");
    assert_eq!(ack("/admin", "13", "\"bar\",1"), r#"43/admin,13["bar",1]"#);
    assert_eq!(ack("/", "12", ""), "4312[]");
    assert_eq!(disconnect("/"), "41");
    assert_eq!(disconnect("/admin"), "41/admin,");
}

#[test]
fn binary_packets_match_the_documented_bytes() {
    let [one, two] = [Bytes::from_static(&[1, 2]), Bytes::from_static(&[3, 4])];
    let (both, one) = ([one.clone(), two], [one]);
    let encoded = |text: &str, attachments: &[Bytes]| {
        Ok(Encoded { text: text.to_owned(), attachments: attachments.to_vec() })
    };
    let [first, second] = [0, 1].map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#));
    assert_eq!(
        binary_event("/", "baz", None, &first, &one, None),
        encoded(r#"451-["baz",{"_placeholder":true,"num":0}]"#, &one)
    );
    assert_eq!(
        binary_event("/admin", "baz", Some(4), &format!("{first},{second}"), &both, Some("7.5")),
        encoded(&format!(r#"452-/admin,4["baz",{first},{second},"7.5"]"#), &both)
    );
    assert_eq!(
        binary_ack("/", "15", &format!("\"bar\",{first}"), &one),
        encoded(r#"461-15["bar",{"_placeholder":true,"num":0}]"#, &one)
    );
    assert_eq!(binary_event("/", "a", Some(3), "1", &one, None), encoded(r#"423["a",1]"#, &[]));
    assert_eq!(binary_ack("/", "3", "", &[]), encoded("433[]", &[]));
    assert_eq!(
        inline(&format!("[1,{second}],{first}"), &both).as_deref(),
        Ok(r#"[1,"AwQ="],"AQI=""#)
    );
    assert_eq!(inline(&second, &one), Err(Fault::Attachments));
}

#[test]
fn attachments_are_renumbered_and_unused_ones_left_out() {
    let all: Vec<Bytes> = (0..3).map(|at| Bytes::from(vec![at; 2])).collect();
    let json = concat!(
        r#"{"é":{"num":2,"_placeholder":true},"b":[{"_placeholder":true,"num":0}],"#,
        r#""c":{"_placeholder":true,"num":2}}"#,
    );
    let encoded =
        binary_event("/", "a", None, &format!("{json},{PLACEHOLDER},7"), &all, None).unwrap();
    assert_eq!(
        encoded.text,
        concat!(
            r#"452-["a",{"é":{"num":0,"_placeholder":true},"b":[{"_placeholder":true,"num":1}],"#,
            r#""c":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1},7]"#,
        )
    );
    assert_eq!(encoded.attachments, [all[2].clone(), all[0].clone()]);
    let unused = binary_event("/", "a", None, "1", &all, None).unwrap();
    assert_eq!((unused.text.as_str(), unused.attachments.len()), (r#"42["a",1]"#, 0));
}

#[test]
fn a_packet_that_a_client_could_not_assemble_is_refused() {
    let many: Vec<Bytes> = (0..=MAX_ATTACHMENTS).map(|at| Bytes::from(vec![0; at + 1])).collect();
    let args: Vec<String> = (0..=MAX_ATTACHMENTS)
        .map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#))
        .collect();
    assert!(binary_event("/", "a", None, &args[1..].join(","), &many, None).is_ok());
    assert_eq!(
        binary_event("/", "a", None, &args.join(","), &many, None),
        Err(Fault::TooManyAttachments)
    );
    // Text of an untrusted source that looks like a placeholder.
    assert_eq!(binary_event("/", "a", None, &args[1], &many[..1], None), Err(Fault::Attachments));
    assert_eq!(event("/", "a", None, PLACEHOLDER, None), format!("42[\"a\",{PLACEHOLDER}]"));
}
