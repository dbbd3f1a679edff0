//! Malformed packets over both transports, each with its exact outcome: a close code over a
//! WebSocket; over long-polling the answer to the POST, and a session that is unknown afterwards.
//! Outcomes equal those of socket.io 4.8 unless `wire/socketio/decode.rs` says otherwise. Two more
//! differ: a close packet of Engine.IO also ends a WebSocket, and the number of namespaces of a
//! connection is limited.

use crate::inputs;

use inputs::{
    After, Always, Answers, Before, Case, Ends, Leaves, Lives, Say, Unjoined, run, server, text,
};

const HOLE: &str = r#"{"_placeholder":true,"num":0}"#;

#[test]
fn engine_io_packets() {
    let broken: Vec<Case> = [
        "",
        "7",
        "8",
        "9",
        "x",
        " ",
        "\n",
        "\0",
        "-1",
        "é",
        "\u{feff}40",
        "{}",
        "b!",
        "b",
        "bAQI=",
        "bAQI",
        "b====",
        "b4",
        "2",
        "2probe",
        "2x",
        "4",
        "null",
        "B",
        "٣",
    ]
    .iter()
    .map(|input| (Always, text(input), Ends(1002)))
    .collect();
    let not_utf8 = [
        &b"4\xff"[..],
        b"\xff",
        b"42[\"\xc3\x28\"]",
        b"4\xed\xa0\x80",
        b"4\xc0\x80",
        b"42[\"\xe2\x82\"]",
        b"3\xf4\x90\x80\x80",
    ]
    .map(|input| (Always, text(input), Ends(1007)));
    let read_over =
        ["0", "0{}", r#"0{"sid":"x","upgrades":[]}"#, "3", "3probe", "3é", "5", "5x", "6", "6x"]
            .iter()
            .map(|input| (Always, text(input), Lives));
    let closing =
        ["1", "1x", "1:3", r#"1{"a":1}"#].iter().map(|input| (Always, text(input), Leaves));
    let cases: Vec<Case> =
        broken.into_iter().chain(not_utf8).chain(read_over).chain(closing).collect();
    run(&server(), &cases);
}

/// Packets that end a connection, whether a namespace is joined or not.
const BROKEN: &[&str] = &[
    // Types.
    "47",
    "48",
    "49",
    "4x",
    "4-1",
    "4é",
    "4 2[\"echo\"]",
    "4\0",
    "4{}",
    "4[\"echo\"]",
    // Payloads.
    "42",
    "42[]",
    "42{}",
    "42{\"0\":\"echo\"}",
    "42\"echo\"",
    "42null",
    "42true",
    "42[null]",
    "42[true]",
    "42[false]",
    "42[{}]",
    "42[[]]",
    "42[\"echo\"",
    "42\"echo\"]",
    "42[\"echo\"] x",
    "42[\"echo\"][\"echo\"]",
    "42['echo']",
    "42[echo]",
    "42[\"echo\",]",
    "42[,\"echo\"]",
    "42[\"echo\",NaN]",
    "42[\"echo\",01]",
    "42[\"echo\",\"\n\"]",
    "42[\"echo\",\"\\x\"]",
    "42[\"\\ud800\"]",
    "42[\"echo\",undefined]",
    "42[-]",
    // Reserved names.
    "42[\"connect\"]",
    "42[\"connect_error\"]",
    "42[\"disconnect\"]",
    "42[\"disconnecting\"]",
    "42[\"newListener\"]",
    "42[\"removeListener\"]",
    "42[\"\\u0063onnect\"]",
    "421[\"disconnect\"]",
    // Ids.
    "42-1[\"echo\"]",
    "421.5[\"echo\"]",
    "421e3[\"echo\"]",
    "420x1[\"echo\"]",
    "42 7[\"echo\"]",
    "42+7[\"echo\"]",
    "427 x[\"echo\"]",
    "427",
    "427,[\"echo\"]",
    "4218446744073709551616[\"echo\"]",
    "42999999999999999999999999999999[\"echo\"]",
    // Acks.
    "43",
    "431",
    "43[]",
    "431{}",
    "431null",
    "43-1[]",
    "43x[]",
    "4318446744073709551616[]",
    // CONNECT_ERROR, which only a server sends.
    "44",
    "44{}",
    "44{\"message\":\"x\"}",
    "44\"x\"",
    "44[]",
    "44/closed,{}",
    // Numbers of attachments.
    "45",
    "46",
    "45[\"echo\"]",
    "45-[\"echo\"]",
    "45-1-[\"echo\"]",
    "45x-[\"echo\"]",
    "450-[\"echo\"]",
    "4500-[\"echo\"]",
    "4511-[\"echo\"]",
    "451[\"echo\"]",
    "451.5-[\"echo\"]",
    "45+1-[\"echo\"]",
    "45 1-[\"echo\"]",
    "451e0-[\"echo\"]",
    "450x1-[\"echo\"]",
    "45١-[\"echo\"]",
    "4599999999999999999999-[\"echo\"]",
    "451-",
    "451-[]",
    "451-{}",
    "451-[null]",
    "451-[\"connect\"]",
    "461-[]",
    "461-1{}",
    "461-1",
    // Namespaces that are not joined.
    "42/closed,[\"echo\"]",
    "42/nowhere,[\"echo\"]",
    "421/,[\"echo\"]",
    "431/closed,[]",
    "43/closed,1[]",
    "41/closed",
    "41/closed,",
    "41/nowhere",
    "42/[\"echo\"]",
    "42//,[\"echo\"]",
    "42/,",
    "42closed,[\"echo\"]",
    // CONNECT.
    "40[]",
    "40[{}]",
    "40\"x\"",
    "40true",
    "40null",
    "40{",
    "40{}x",
    "40{\"a\":}",
    "40nowhere",
    "40,",
    "40,{}",
    "40{}{}",
    "40x/closed,",
    // DISCONNECT.
    "41{}",
    "41[]",
    "41null",
    "41\"x\"",
    "41x",
    "41/,{}",
];

#[test]
fn socket_io_packets_that_end_the_connection() {
    let mut cases: Vec<Case> =
        BROKEN.iter().map(|packet| (Always, text(packet), Ends(1002))).collect();
    // Placeholders without an attachment.
    for num in ["1", "10", "-1", "\"0\"", "0.5", "null", "[0]", "99999999999999999999", "00"] {
        cases.push((
            Always,
            text(format!(r#"451-["echo",{{"_placeholder":true,"num":{num}}}]"#)),
            Ends(1002),
        ));
    }
    cases.push((Always, text(r#"451-["echo",{"_placeholder":true}]"#), Ends(1002)));
    // Attachments out of order.
    let [one, bytes] =
        [Say::Text(format!(r#"451-["echo",{HOLE},1]"#).into()), Say::Binary(vec![1])];
    let two = Say::Text(format!(r#"452-["echo",{HOLE},1]"#).into());
    cases.push((Always, vec![bytes.clone()], Ends(1002)));
    cases.push((Always, vec![Say::Binary(vec![])], Ends(1002)));
    cases.push((Always, vec![one.clone(), Say::Text(r#"42["echo"]"#.into())], Ends(1002)));
    cases.push((Always, vec![one.clone(), one.clone()], Ends(1002)));
    cases.push((Always, vec![two, bytes.clone(), Say::Text("41".into())], Ends(1002)));
    cases.push((After, vec![one.clone(), bytes.clone(), bytes.clone()], Ends(1002)));
    cases.push((Before, vec![one, bytes], Ends(1002)));
    // Namespaces that are not joined, or joined already.
    for packet in [r#"42["echo"]"#, "41", "431[]", "417"] {
        cases.push((Before, text(packet), Ends(1002)));
    }
    for packet in ["40", "40{}", "401", "40/", "40/,{}", "40/?token=x,"] {
        cases.push((After, text(packet), Ends(1002)));
    }
    cases.push((Before, ["40", "40"].map(|packet| Say::Text(packet.into())).to_vec(), Ends(1002)));
    let everywhere = (0..=16).map(|n| Say::Text(format!("40/{n},").into())).collect();
    cases.push((Before, everywhere, Ends(1002)));
    run(&server(), &cases);
}

#[test]
fn a_packet_beyond_a_limit_is_refused_and_its_connection_lives() {
    let many = |kind: &str, count: usize| format!("{kind}[{}]", vec!["0"; count].join(","));
    let deep = |kind: &str| {
        let nested = format!(r#"{kind}["echo",{}{}]"#, "[".repeat(129), "]".repeat(129));
        vec![Say::Text(nested.into()), Say::Binary(vec![1])]
    };
    let error = |message: &str| {
        format!(
            r#"{{"error":{{"code":"invalid","message":"The event has {message}"}},"ok":false}}"#
        )
    };
    let event = |name: &str, message: &str| {
        format!(
            r#"42["error",{{"code":"invalid","event":"{name}","message":"The event has {message}","status":"error"}}]"#
        )
    };
    let (arguments, depth) =
        ("more than 256 arguments", "binary data beside JSON that is nested deeper than 128");
    let cases: Vec<Case> = vec![
        (After, text(many("427", 258)), Answers(format!("437[{}]", error(arguments)))),
        (After, text(many("42", 258)), Answers(event("0", arguments))),
        (After, deep("451-7"), Answers(format!("437[{}]", error(depth)))),
        (After, deep("451-"), Answers(event("echo", depth))),
        // An ack that is refused counts as missing.
        (After, text(many("431", 257)), Lives),
        // Nobody has joined.
        (Before, text(many("42", 258)), Ends(1002)),
        (Before, deep("451-"), Ends(1002)),
    ];
    run(&server(), &cases);
}

#[test]
fn unusual_socket_io_packets_that_are_accepted() {
    let invalid =
        |namespace: &str| Answers(format!(r#"44{namespace},{{"message":"Invalid namespace"}}"#));
    let unauthorized = |reason: &str| {
        Answers(format!(
            r#"44/closed,{{"message":"Unauthorized","data":{{"code":"unauthorized","reason":"{reason}"}}}}"#
        ))
    };
    let unknown = |name: &str| {
        Answers(format!(
            r#"437[{{"error":{{"code":"invalid","message":"unknown event {name}"}},"ok":false}}]"#
        ))
    };
    let mut cases: Vec<Case> = Vec::new();
    for namespace in [
        "/nowhere",
        "//",
        "/no such",
        "/é",
        "/\"x\"",
        "/CLOSED",
        "/closed/",
        "/closed{\"token\":\"good\"}",
        "/\n",
        "/..",
        "/%2f",
        "/17",
    ] {
        cases.push((Always, text(format!("40{namespace},")), invalid(namespace)));
    }
    cases.push((Always, text("40/nowhere"), invalid("/nowhere")));
    cases.push((Always, text("40/nowhere?x=1,"), invalid("/nowhere")));
    cases.push((Always, text("40/closed,"), unauthorized("missing")));
    cases.push((Always, text("40/closed,{}"), unauthorized("invalid")));
    cases.push((Always, text("40/closed"), unauthorized("missing")));
    for packet in [
        "40/closed,{\"token\":\"good\"}",
        "40/closed?x=1,{\"token\":\"good\"}",
        "40/closed,7{\"token\":\"good\"}",
    ] {
        cases.push((Always, text(packet), Answers("40/closed,{\"sid\":\"".into())));
    }
    for packet in ["41", "417", "41/", "41/,"] {
        cases.push((After, text(packet), Unjoined));
    }
    // An ack that nobody asked for.
    for packet in ["431[]", "4399[1,2]", "43/,1[]"] {
        cases.push((After, text(packet), Lives));
    }
    for (packet, hear) in [
        (r#"427["echo"]"#, "437["),
        (r#"42007["echo",1]"#, "437[1]"),
        (r#"4218446744073709551615["echo",1]"#, "4318446744073709551615[1]"),
        (r#"427["echo","\ud800"]"#, r#"437["\ud800"]"#),
        (r#"427["echo",1e999]"#, "437[1e999]"),
        (r#"427 [ "echo" , 1 ] "#, "437[1]"),
        (r#"42/,7["echo",1]"#, "437[1]"),
        (r#"42/?x=1,7["echo",1]"#, "437[1]"),
        (r#"427["echo",{"_placeholder":true,"num":9}]"#, r#"437[{"_placeholder":true,"num":9}]"#),
    ] {
        cases.push((After, text(packet), Answers(hear.into())));
    }
    cases.push((After, text("427[1]"), unknown("1")));
    cases.push((After, text(r#"427[""]"#), unknown("")));
    cases.push((After, text(r#"427["Connect"]"#), unknown("Connect")));
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    cases.push((After, text(format!(r#"427["echo",{deep}]"#)), Answers(format!("437[{deep}]"))));
    cases.push((
        After,
        text(format!("427[\"echo\"{}]", ",0".repeat(256))),
        Answers("437[0]".into()),
    ));
    // No packet may come between.
    let parts = [
        Say::Text(format!(r#"451-7["echo",{HOLE},1]"#).into()),
        Say::Text("3".into()),
        Say::Text("6".into()),
        Say::Binary(vec![1]),
    ];
    cases.push((After, parts.to_vec(), Answers("437[1]".into())));
    run(&server(), &cases);
}
