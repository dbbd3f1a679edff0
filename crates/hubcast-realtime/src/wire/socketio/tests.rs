//! The expected bytes are the examples of socket.io-protocol v5. The handling of malformed packets
//! was compared with socket.io-parser 4.2.7.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::wire::laws;

mod encode;

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

fn event_of(text: &str) -> (String, String, Vec<String>, Option<u64>) {
    let packet = decode(text).unwrap();
    let Body::Data(EventOrAck::Event { name, args, ack }) = packet.body else {
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
fn decode_reads_events_in_every_form() {
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
fn an_event_name_may_be_a_number() {
    assert_eq!(event_of("2[1]").1, "1");
    assert_eq!(event_of(r#"2[-1.5,"a"]"#).1, "-1.5");
}

#[test]
fn acks_carry_any_number_of_arguments() {
    for (text, wanted) in [
        ("3/admin,13[\"bar\"]", vec!["\"bar\""]),
        ("313[]", vec![]),
        ("313[1,{}]", vec!["1", "{}"]),
    ] {
        let Packet { body: Body::Data(EventOrAck::Ack { id: 13, args }), .. } =
            decode(text).unwrap()
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
    let auth = r#"{"token":"t"}"#;
    let text = format!("0{auth}");
    let Body::Connect(Some(read)) = decode(&text).unwrap().body else { panic!("no auth: {text}") };
    assert_eq!(read.get(), auth);
    for text in ["0[1]", "0\"x\"", "0{", "0 "] {
        assert_eq!(fault_of(text), Some(Fault::Payload), "{text}");
    }
}

#[test]
fn disconnect_and_connect_error_are_read() {
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
fn an_id_without_a_meaning_is_ignored() {
    assert!(matches!(decode("17").unwrap().body, Body::Disconnect));
    assert!(matches!(decode("07{}").unwrap().body, Body::Connect(Some(_))));
}

#[test]
fn binary_packets_announce_their_attachments() {
    let of = |text| {
        let Packet { namespace, body: Body::Binary { content, due } } = decode(text).unwrap()
        else {
            panic!("not binary: {text}")
        };
        match content {
            EventOrAck::Event { name, args, ack } => {
                (namespace.to_owned(), name, args.len(), ack, due)
            }
            EventOrAck::Ack { id, args } => {
                (namespace.to_owned(), "(answer)".to_owned(), args.len(), Some(id), due)
            }
            EventOrAck::Refused { .. } => panic!("refused: {text}"),
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
fn each_malformed_packet_has_its_fault() {
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
fn the_number_of_arguments_is_limited() {
    let of = |kind: &str, arguments: usize| format!("{kind}[0{}]", ",0".repeat(arguments));
    assert_eq!(event_of(&of("2", MAX_ARGUMENTS)).2.len(), MAX_ARGUMENTS);
    assert_eq!(refused(&of("27", MAX_ARGUMENTS + 1)), (Some(("0".into(), Some(7))), ARGUMENTS));
    assert_eq!(refused(&of("51-", MAX_ARGUMENTS + 1)), (Some(("0".into(), None)), ARGUMENTS));
    assert_eq!(fault_of(&of("37", MAX_ARGUMENTS - 1)), None);
    assert_eq!(refused(&of("37", MAX_ARGUMENTS)), (None, ARGUMENTS));
    assert_eq!(fault_of(&of("3", MAX_ARGUMENTS)), Some(Fault::AckId));
    let unfinished = format!("2[0{}", ",0".repeat(MAX_ARGUMENTS + 1));
    assert_eq!(fault_of(&unfinished), Some(Fault::Payload));
}

const ARGUMENTS: Fault = Fault::Arguments;

/// Reads a packet that is beyond a limit.
fn refused(text: &str) -> (Option<(String, Option<u64>)>, Fault) {
    match decode(text).expect("is a packet").body {
        Body::Data(EventOrAck::Refused { event, fault })
        | Body::Binary { content: EventOrAck::Refused { event, fault }, .. } => (event, fault),
        body => panic!("{body:?}"),
    }
}

#[test]
fn only_the_depth_of_binary_packets_is_limited() {
    let nested = |kind: &str, depth: usize| {
        format!("{kind}[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(fault_of(&nested("2", 100_000)), None);
    assert_eq!(fault_of(&nested("51-", MAX_DEPTH)), None);
    let deep = nested("51-7", MAX_DEPTH + 1);
    assert_eq!(refused(&deep), (Some(("a".into(), Some(7))), Fault::Depth));
    assert_eq!(refused(&nested("61-7", MAX_DEPTH + 1)), (None, Fault::Depth));
    // Its bytes follow it as they follow any other.
    let mut assembler = Assembler::default();
    assert!(assembler.text(&deep).expect("is a packet").is_none());
    let whole = assembler.binary(Bytes::from_static(b"x"), 1).expect("is due").expect("is whole");
    assert!(matches!(whole.content, EventOrAck::Refused { fault: Fault::Depth, .. }));
}

#[test]
fn placeholders_are_recognized_as_by_the_reference_parser() {
    for (json, is_good) in [
        (PLACEHOLDER, true),
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
        // The last of equal keys counts.
        (r#"{"_placeholder":true,"num":9,"num":0}"#, true),
        (r#"{"_placeholder":true,"num":9,"_placeholder":false}"#, true),
        (r#"{"_placeholder":false,"num":9,"_placeholder":true}"#, false),
        (r#"{"_placeholder":true,"num":0,"_placeholder":[]}"#, true),
        // Escapes in a key are decoded.
        (r#"{"\u005fplaceholder":true,"num":9}"#, false),
        (r#"{"_placeholder":true,"n\u0075m":0}"#, true),
        // The inside of a placeholder is not searched.
        (r#"{"_placeholder":true,"x":{"_placeholder":true,"num":9},"num":0}"#, true),
    ] {
        assert_eq!(
            fault_of(&format!("51-[\"a\",{json}]")),
            (!is_good).then_some(Fault::Attachments),
            "{json}"
        );
        // In a text packet it is an ordinary object.
        assert_eq!(fault_of(&format!("2[\"a\",{json}]")), None, "{json}");
    }
}

#[test]
fn a_packet_is_complete_with_its_last_attachment() {
    let mut assembler = Assembler::default();
    assert!(matches!(assembler.text("2[\"a\"]"), Ok(Some(Packet { body: Body::Data(_), .. }))));
    assert!(!assembler.is_waiting());
    assert!(matches!(assembler.text(&format!("52-/admin,7[\"a\",{PLACEHOLDER}]")), Ok(None)));
    assert!(matches!(assembler.binary("one".into(), 6), Ok(None)));
    assert!(assembler.is_waiting());
    let Ok(Some(BinaryPacket { namespace, content, attachments })) =
        assembler.binary("two".into(), 6)
    else {
        panic!("it is whole")
    };
    let EventOrAck::Event { name, args, ack } = content else { panic!("it is an event") };
    assert_eq!(
        (&*namespace, name.as_str(), texts(&args), ack),
        ("/admin", "a", vec![PLACEHOLDER.to_owned()], Some(7))
    );
    assert_eq!(attachments, ["one", "two"]);
    assert!(!assembler.is_waiting());
}

#[test]
fn messages_out_of_order_are_faults_and_reset_the_assembler() {
    let mut assembler = Assembler::default();
    assert_eq!(assembler.binary(Bytes::new(), 10).err(), Some(Fault::NotDue));
    assert!(assembler.text("51-[\"a\"]").is_ok());
    assert_eq!(assembler.text("2[\"a\"]").err(), Some(Fault::Due));
    assert!(!assembler.is_waiting());
    assert_eq!(assembler.text("511-[\"a\"]").err(), Some(Fault::TooManyAttachments));
    assert_eq!(assembler.binary(Bytes::new(), 10).err(), Some(Fault::NotDue));
}

#[test]
fn the_total_size_of_attachments_is_limited() {
    let mut assembler = Assembler::default();
    assert!(assembler.text("52-[\"a\"]").is_ok());
    assert!(matches!(assembler.binary("123".into(), 5), Ok(None)));
    assert_eq!(assembler.binary("456".into(), 5).err(), Some(Fault::TooLarge));
    assert!(!assembler.is_waiting());
}

#[test]
fn a_waiting_attachment_does_not_keep_its_read_buffer_alive() {
    let mut assembler = Assembler::default();
    let buffer = Bytes::from(vec![7; 64 * 1024]);
    assert!(assembler.text("52-[\"a\"]").is_ok());
    assert!(matches!(assembler.binary(buffer.slice(..2), 10), Ok(None)));
    assert!(buffer.is_unique());
}

/// JSON with placeholders, some of them invalid, inside and outside of objects.
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
    fn text_that_resembles_a_packet_is_one_or_a_fault(
        text in concat!(
            "[0-7](1?[0-9]-)?(/[a-z?]{0,3},)?[0-9]{0,3}",
            "[0-9/,?\\[\\]{}\"a:tru_-]{0,24}",
        ),
    ) {
        laws::packet(&text);
    }

    #[test]
    fn packets_read_back_as_they_were_written(
        kind in prop_oneof![Just("2"), Just("31"), Just("54-"), Just("64-1"), Just("51-/admin,3")],
        name in r#"(-?[1-9][0-9]{0,3}|"[a-zé\\/]{0,6}")"#,
        args in prop::collection::vec(json(), 0..4),
    ) {
        let items: Vec<String> = std::iter::once(name).chain(args).collect();
        laws::packet(&format!("{kind}[{}]", items.join(",")));
    }

    #[test]
    fn any_text_is_searched_for_placeholders_without_a_panic(
        text in "[{}\\[\\]\",:0-9 \\\\é]{0,40}",
    ) {
        let _ = binary_event("/", "a", None, &text, &[Bytes::new()], None);
    }
}
