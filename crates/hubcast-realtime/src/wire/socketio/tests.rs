//! Golden bytes are the examples of socket.io-protocol v5; what becomes of malformed packets was
//! compared with socket.io-parser 4.2.7.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::wire::laws;

const HOLE: &str = r#"{"_placeholder":true,"num":0}"#;

fn event_of(text: &str) -> (String, String, Vec<String>, Option<u64>) {
    let packet = decode(text).unwrap();
    let Body::Data(Content::Event { name, args, ack }) = packet.body else {
        panic!("not an event: {text}")
    };
    (packet.namespace.to_owned(), name, texts(&args), ack)
}

fn texts(args: &[Box<RawValue>]) -> Vec<String> {
    args.iter().map(|arg| arg.get().to_owned()).collect()
}

fn fault_of(text: &str) -> Option<Fault> {
    decode(text).err()
}

#[test]
fn events_in_all_their_forms() {
    assert_eq!(event_of(r#"2["foo"]"#), ("/".into(), "foo".into(), vec![], None));
    assert_eq!(event_of(r#"2/admin,["bar"]"#), ("/admin".into(), "bar".into(), vec![], None));
    assert_eq!(event_of(r#"212["foo"]"#), ("/".into(), "foo".into(), vec![], Some(12)));
    assert_eq!(event_of(r#"2["a",{"b":1}]"#).2, [r#"{"b":1}"#]);
    assert_eq!(
        event_of(r#"2/admin,12["a",1,"x"]"#),
        ("/admin".into(), "a".into(), vec!["1".into(), "\"x\"".into()], Some(12))
    );
    assert_eq!(event_of(r#"2/admin?x=1,["a"]"#).0, "/admin");
}

#[test]
fn a_name_may_be_a_number() {
    assert_eq!(event_of("2[1]").1, "1");
    assert_eq!(event_of(r#"2[-1.5,"a"]"#).1, "-1.5");
}

#[test]
fn answers_carry_any_number_of_arguments() {
    for (text, wanted) in [
        ("3/admin,13[\"bar\"]", vec!["\"bar\""]),
        ("313[]", vec![]),
        ("313[1,{}]", vec!["1", "{}"]),
    ] {
        let Packet { body: Body::Data(Content::Ack { id: 13, args }), .. } = decode(text).unwrap()
        else {
            panic!("not an answer: {text}")
        };
        assert_eq!(texts(&args), wanted);
    }
}

#[test]
fn connect_takes_an_object_or_nothing() {
    assert!(matches!(decode("0").unwrap().body, Body::Connect(None)));
    assert!(matches!(
        decode("0/admin,").unwrap(),
        Packet { namespace: "/admin", body: Body::Connect(None) }
    ));
    assert!(matches!(
        decode("0/admin").unwrap(),
        Packet { namespace: "/admin", body: Body::Connect(None) }
    ));
    assert!(
        matches!(decode(r#"0{"token":"t"}"#).unwrap().body, Body::Connect(Some(auth)) if auth.get() == r#"{"token":"t"}"#)
    );
    for text in ["0[1]", "0\"x\"", "0{", "0 "] {
        assert_eq!(fault_of(text), Some(Fault::Payload), "{text}");
    }
}

#[test]
fn the_other_types_are_read_too() {
    assert!(matches!(decode("1").unwrap(), Packet { namespace: "/", body: Body::Disconnect }));
    assert!(matches!(
        decode("1/admin,").unwrap(),
        Packet { namespace: "/admin", body: Body::Disconnect }
    ));
    for json in [r#"{"message":"Not authorized"}"#, r#""no""#] {
        let text = format!("4{json}");
        assert!(
            matches!(decode(&text).unwrap().body, Body::ConnectError(error) if error.get() == json)
        );
    }
}

#[test]
fn an_id_without_a_meaning_is_read_over() {
    assert!(matches!(decode("17").unwrap().body, Body::Disconnect));
    assert!(matches!(decode("07{}").unwrap().body, Body::Connect(Some(_))));
}

#[test]
fn binary_packets_say_what_is_due() {
    let of = |text| {
        let Packet { namespace, body: Body::Binary { content, due } } = decode(text).unwrap()
        else {
            panic!("not binary: {text}")
        };
        match content {
            Content::Event { name, args, ack } => {
                (namespace.to_owned(), name, args.len(), ack, due)
            }
            Content::Ack { id, args } => {
                (namespace.to_owned(), "(answer)".to_owned(), args.len(), Some(id), due)
            }
        }
    };
    assert_eq!(
        of(r#"51-["baz",{"_placeholder":true,"num":0}]"#),
        ("/".into(), "baz".into(), 1, None, 1)
    );
    assert_eq!(
        of(r#"52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#),
        ("/admin".into(), "baz".into(), 2, None, 2)
    );
    assert_eq!(
        of(r#"61-15["bar",{"_placeholder":true,"num":0}]"#),
        ("/".into(), "(answer)".into(), 2, Some(15), 1)
    );
    assert_eq!(
        of(r#"61-/admin,1[{"_placeholder":true,"num":0}]"#),
        ("/admin".into(), "(answer)".into(), 1, Some(1), 1)
    );
    assert_eq!(of(r#"510-["a"]"#).4, MAX_ATTACHMENTS);
}

#[test]
fn what_is_no_packet_is_a_fault() {
    for (text, fault) in [
        ("", Fault::Type),
        ("7", Fault::Type),
        ("é", Fault::Type),
        (" 2[\"a\"]", Fault::Type),
        ("1{}", Fault::Payload),
        ("2", Fault::Payload),
        ("2[]", Fault::Payload),
        ("2{}", Fault::Payload),
        ("2[null]", Fault::Payload),
        ("2[true]", Fault::Payload),
        ("2[{}]", Fault::Payload),
        (r#"2["a""#, Fault::Payload),
        (r#"2["a"] x"#, Fault::Payload),
        (r#"2/admin["a"]"#, Fault::Payload),
        (r#"299999999999999999999["a"]"#, Fault::AckId),
        ("3[]", Fault::AckId),
        ("31", Fault::Payload),
        ("31{}", Fault::Payload),
        ("4", Fault::Payload),
        ("4{}x", Fault::Payload),
        ("4[]", Fault::Payload),
        ("41", Fault::Payload),
        (r#"5["a"]"#, Fault::Attachments),
        (r#"5-["a"]"#, Fault::Attachments),
        (r#"50-["a"]"#, Fault::Attachments),
        (r#"51["a"]"#, Fault::Attachments),
        (r#"5 1-["a"]"#, Fault::Attachments),
        (r#"51.0-["a"]"#, Fault::Attachments),
        (r#"5+1-["a"]"#, Fault::Attachments),
        (r#"511-["a"]"#, Fault::TooManyAttachments),
        (r#"599999999999999999999-["a"]"#, Fault::TooManyAttachments),
        ("51-", Fault::Payload),
        ("61-1{}", Fault::Payload),
        ("61-[]", Fault::AckId),
    ] {
        assert_eq!(fault_of(text), Some(fault), "{text}");
    }
}

#[test]
fn reserved_names_are_refused() {
    for name in RESERVED {
        assert_eq!(fault_of(&format!("2[\"{name}\"]")), Some(Fault::Payload), "{name}");
    }
    assert_eq!(fault_of(r#"2["\u0063onnect"]"#), Some(Fault::Payload));
}

#[test]
fn arguments_are_bounded_in_number() {
    let of = |kind: &str, arguments: usize| format!("{kind}[0{}]", ",0".repeat(arguments));
    assert_eq!(event_of(&of("2", MAX_ARGUMENTS)).2.len(), MAX_ARGUMENTS);
    assert_eq!(fault_of(&of("2", MAX_ARGUMENTS + 1)), Some(Fault::Payload));
    assert_eq!(fault_of(&of("37", MAX_ARGUMENTS - 1)), None);
    assert_eq!(fault_of(&of("37", MAX_ARGUMENTS)), Some(Fault::Payload));
}

#[test]
fn text_may_be_of_any_depth_and_what_is_searched_may_not() {
    let nested = |kind: &str, depth: usize| {
        format!("{kind}[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(fault_of(&nested("2", 100_000)), None);
    assert_eq!(fault_of(&nested("51-", MAX_DEPTH)), None);
    assert_eq!(fault_of(&nested("51-", MAX_DEPTH + 1)), Some(Fault::Payload));
}

#[test]
fn placeholders_are_taken_as_the_reference_takes_them() {
    for (json, is_good) in [
        (HOLE, true),
        (r#"{"_placeholder":true,"num":1}"#, false),
        (r#"{"_placeholder":true,"num":-1}"#, false),
        (r#"{"_placeholder":true,"num":"0"}"#, false),
        (r#"{"_placeholder":true,"num":[0]}"#, false),
        (r#"{"_placeholder":true,"num":0.5}"#, false),
        (r#"{"_placeholder":true}"#, false),
        (r#"{ "num" : 0 , "_placeholder" : true }"#, true),
        (r#"{"_placeholder":false,"num":9}"#, true),
        (r#"{"_placeholder":"true","num":9}"#, true),
        (r#"{"_placeholder":1,"num":9}"#, true),
        (r#"{"_placeholder":{"_placeholder":true,"num":0},"num":9}"#, true),
        (r#"{"x":"_placeholder","num":9}"#, true),
        (r#""{\"_placeholder\":true,\"num\":9}""#, true),
        (r#"["_placeholder",true,"num",9]"#, true),
        (r#"{"a\"":{"_placeholder":true,"num":9}}"#, false),
        (r#"["\\",{"_placeholder":true,"num":9}]"#, false),
        (r#"{"a":[{"b":{"_placeholder":true,"num":9}}]}"#, false),
        // Of equal keys the last counts.
        (r#"{"_placeholder":true,"num":9,"num":0}"#, true),
        (r#"{"_placeholder":true,"num":9,"_placeholder":false}"#, true),
        (r#"{"_placeholder":false,"num":9,"_placeholder":true}"#, false),
        (r#"{"_placeholder":true,"num":0,"_placeholder":[]}"#, true),
        // A key is what its escapes mean.
        (r#"{"\u005fplaceholder":true,"num":9}"#, false),
        (r#"{"_placeholder":true,"n\u0075m":0}"#, true),
        // What is inside one is never looked at.
        (r#"{"_placeholder":true,"x":{"_placeholder":true,"num":9},"num":0}"#, true),
    ] {
        assert_eq!(
            fault_of(&format!("51-[\"a\",{json}]")),
            (!is_good).then_some(Fault::Attachments),
            "{json}"
        );
        // In a text packet it is only an object.
        assert_eq!(fault_of(&format!("2[\"a\",{json}]")), None, "{json}");
    }
}

#[test]
fn golden_bytes_of_what_the_server_sends() {
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
fn golden_bytes_of_binary_packets() {
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
        encoded(
            r#"452-/admin,4["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},"7.5"]"#,
            &both
        )
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
fn attachments_are_counted_anew_and_only_those_that_are_used_are_sent() {
    let all: Vec<Bytes> = (0..3).map(|at| Bytes::from(vec![at; 2])).collect();
    let json = r#"{"é":{"num":2,"_placeholder":true},"b":[{"_placeholder":true,"num":0}],"c":{"_placeholder":true,"num":2}}"#;
    let encoded = binary_event("/", "a", None, &format!("{json},{HOLE},7"), &all, None).unwrap();
    assert_eq!(
        encoded.text,
        r#"452-["a",{"é":{"num":0,"_placeholder":true},"b":[{"_placeholder":true,"num":1}],"c":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1},7]"#
    );
    assert_eq!(encoded.attachments, [all[2].clone(), all[0].clone()]);
    let unused = binary_event("/", "a", None, "1", &all, None).unwrap();
    assert_eq!((unused.text.as_str(), unused.attachments.len()), (r#"42["a",1]"#, 0));
}

#[test]
fn what_a_client_could_not_put_together_is_not_sent() {
    let many: Vec<Bytes> = (0..=MAX_ATTACHMENTS).map(|at| Bytes::from(vec![0; at + 1])).collect();
    let args: Vec<String> = (0..=MAX_ATTACHMENTS)
        .map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#))
        .collect();
    assert!(binary_event("/", "a", None, &args[1..].join(","), &many, None).is_ok());
    assert_eq!(
        binary_event("/", "a", None, &args.join(","), &many, None),
        Err(Fault::TooManyAttachments)
    );
    // A stranger's text that looks like a placeholder.
    assert_eq!(binary_event("/", "a", None, &args[1], &many[..1], None), Err(Fault::Attachments));
    assert_eq!(event("/", "a", None, HOLE, None), format!("42[\"a\",{HOLE}]"));
}

#[test]
fn a_packet_is_whole_with_its_last_attachment() {
    let mut assembler = Assembler::default();
    assert!(matches!(assembler.text("2[\"a\"]"), Ok(Some(Packet { body: Body::Data(_), .. }))));
    assert!(!assembler.is_waiting());
    assert!(matches!(assembler.text(&format!("52-/admin,7[\"a\",{HOLE}]")), Ok(None)));
    assert!(matches!(assembler.binary("one".into(), 6), Ok(None)));
    assert!(assembler.is_waiting());
    let Ok(Some(Whole { namespace, content, attachments })) = assembler.binary("two".into(), 6)
    else {
        panic!("it is whole")
    };
    let Content::Event { name, args, ack } = content else { panic!("it is an event") };
    assert_eq!(
        (&*namespace, name.as_str(), texts(&args), ack),
        ("/admin", "a", vec![HOLE.to_owned()], Some(7))
    );
    assert_eq!(attachments, ["one", "two"]);
    assert!(!assembler.is_waiting());
}

#[test]
fn messages_out_of_turn_are_faults_and_leave_nothing_behind() {
    let mut assembler = Assembler::default();
    assert_eq!(assembler.binary(Bytes::new(), 10).err(), Some(Fault::NotDue));
    assert!(assembler.text("51-[\"a\"]").is_ok());
    assert_eq!(assembler.text("2[\"a\"]").err(), Some(Fault::Due));
    assert!(!assembler.is_waiting());
    assert_eq!(assembler.text("511-[\"a\"]").err(), Some(Fault::TooManyAttachments));
    assert_eq!(assembler.binary(Bytes::new(), 10).err(), Some(Fault::NotDue));
}

#[test]
fn attachments_together_are_bounded_in_bytes() {
    let mut assembler = Assembler::default();
    assert!(assembler.text("52-[\"a\"]").is_ok());
    assert!(matches!(assembler.binary("123".into(), 5), Ok(None)));
    assert_eq!(assembler.binary("456".into(), 5).err(), Some(Fault::TooLarge));
    assert!(!assembler.is_waiting());
}

#[test]
fn what_waits_does_not_hold_the_buffer_it_came_in() {
    let mut assembler = Assembler::default();
    let buffer = Bytes::from(vec![7; 64 * 1024]);
    assert!(assembler.text("52-[\"a\"]").is_ok());
    assert!(matches!(assembler.binary(buffer.slice(..2), 10), Ok(None)));
    assert!(buffer.is_unique());
}

/// JSON with placeholders, some of them false, in and out of objects.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        r#"-?[1-9][0-9]{0,3}|true|null|"[a-zé{}\[\],:]{0,6}"|"\\\\"|"\\"""#.prop_map(|text| text),
        (0..4u8).prop_map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#)),
        (0..4u8).prop_map(|num| format!(r#"{{ "num" :{num}, "x":[1], "_placeholder":true}}"#)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let keys = prop_oneof![
            Just("a"),
            Just("num"),
            Just("_placeholder"),
            Just(r"_\u0070laceholder"),
            Just(r#"\""#)
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((keys, inner), 0..4).prop_map(|items| {
                let items: Vec<String> =
                    items.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_packet_or_a_fault(text in "\\PC*") {
        laws::packet(&text);
    }

    #[test]
    fn text_that_is_nearly_a_packet_is_one_or_a_fault(text in "[0-7](1?[0-9]-)?(/[a-z?]{0,3},)?[0-9]{0,3}[0-9/,?\\[\\]{}\"a:tru_-]{0,24}") {
        laws::packet(&text);
    }

    #[test]
    fn packets_come_back_as_they_were_written(
        kind in prop_oneof![Just("2"), Just("31"), Just("54-"), Just("64-1"), Just("51-/admin,3")],
        name in r#"(-?[1-9][0-9]{0,3}|"[a-zé\\/]{0,6}")"#,
        args in prop::collection::vec(json(), 0..4),
    ) {
        let items: Vec<String> = std::iter::once(name).chain(args).collect();
        laws::packet(&format!("{kind}[{}]", items.join(",")));
    }

    #[test]
    fn any_text_is_searched_for_placeholders_without_a_panic(text in "[{}\\[\\]\",:0-9 \\\\é]{0,40}") {
        let _ = binary_event("/", "a", None, &text, &[Bytes::new()], None);
    }
}
