//! Properties that hold for any input, as functions that panic where one is violated. The property
//! tests and the fuzz targets call them.
#![expect(clippy::missing_panics_doc, reason = "a panic reports a violated property")]

use actix_http::ws::{Codec, Frame, ProtocolError};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

use super::{engineio, plain, socketio, websocket};

/// Reads a text message in both protocols: neither panics, and a packet that is written again reads
/// the same.
pub fn packet(text: &str) {
    let _ = plain::decode(text);
    if let Ok(packet) = engineio::decode(text) {
        assert_eq!(packet.encode().decode().as_ref(), Ok(&packet), "{text:?}");
    }
    if let Ok(packet) = socketio::decode(text) {
        match packet.body {
            socketio::Body::Data(content) => data(packet.namespace, &content),
            socketio::Body::Binary { due, .. } => binary(text, due),
            socketio::Body::Connect(_)
            | socketio::Body::ConnectError(_)
            | socketio::Body::Disconnect => {}
        }
    }
}

fn joined(args: &[Box<serde_json::value::RawValue>]) -> String {
    args.iter().map(|arg| arg.get()).collect::<Vec<_>>().join(",")
}

fn data(namespace: &str, content: &socketio::EventOrAck) {
    let written = match content {
        socketio::EventOrAck::Event { name, args, ack } => {
            socketio::event(namespace, name, *ack, &joined(args), None)
        }
        socketio::EventOrAck::Ack { id, args } => {
            socketio::ack(namespace, &id.to_string(), &joined(args))
        }
        socketio::EventOrAck::Refused { .. } => return,
    };
    let again = socketio::decode(written.strip_prefix('4').expect("a message"))
        .expect("what was written can be read");
    assert_eq!(again.namespace, namespace);
    let socketio::Body::Data(again) = again.body else { panic!("{content:?}: {written}") };
    assert_eq!(format!("{again:?}"), format!("{content:?}"), "{written}");
}

/// Checks that a binary packet is complete with its last attachment, and keeps its values when it
/// is written again with other numbers.
fn binary(text: &str, due: usize) {
    let whole = assembled(text, (0..due).map(|at| Bytes::from(vec![b'x'; at + 1])).collect());
    if matches!(whole.content, socketio::EventOrAck::Refused { .. }) {
        return;
    }
    let written = encoded(&whole);
    assert!(written.attachments.len() <= whole.attachments.len());
    if written.attachments.is_empty() {
        return;
    }
    let text = written.text.strip_prefix('4').expect("a message");
    let again = assembled(text, written.attachments.clone());
    assert_eq!(meaning(&again), meaning(&whole), "{text}");
    assert_eq!(encoded(&again), written, "numbering again changes nothing");
}

fn assembled(text: &str, attachments: Vec<Bytes>) -> socketio::BinaryPacket {
    let (mut assembler, limit) =
        (socketio::Assembler::default(), attachments.iter().map(Bytes::len).sum());
    assert!(matches!(assembler.text(text), Ok(None)), "{text}");
    let mut whole = None;
    for attachment in attachments {
        assert!(whole.is_none() && assembler.is_waiting(), "{text}");
        whole = assembler.binary(attachment, limit).expect("it is due, and within the limit");
    }
    assert!(!assembler.is_waiting());
    whole.expect("the last attachment completes it")
}

fn encoded(whole: &socketio::BinaryPacket) -> socketio::Encoded {
    let socketio::BinaryPacket { namespace, content, attachments } = whole;
    match content {
        socketio::EventOrAck::Event { name, args, ack } => {
            socketio::binary_event(namespace, name, *ack, &joined(args), attachments, None)
        }
        socketio::EventOrAck::Ack { id, args } => {
            socketio::binary_ack(namespace, &id.to_string(), &joined(args), attachments)
        }
        socketio::EventOrAck::Refused { .. } => unreachable!("it has no arguments to write"),
    }
    .expect("placeholders that were read can be written")
}

/// Returns the packet as text, with each placeholder replaced by its bytes.
fn meaning(whole: &socketio::BinaryPacket) -> String {
    let resolved = |args: &[Box<serde_json::value::RawValue>]| {
        args.iter()
            .map(|arg| socketio::resolved(arg.get(), &whole.attachments))
            .collect::<Vec<_>>()
            .join(",")
    };
    match &whole.content {
        socketio::EventOrAck::Event { name, args, ack } => {
            format!("{} {name} {ack:?} {}", whole.namespace, resolved(args))
        }
        socketio::EventOrAck::Ack { id, args } => {
            format!("{} {id} {}", whole.namespace, resolved(args))
        }
        socketio::EventOrAck::Refused { .. } => unreachable!("it has no arguments to compare"),
    }
}

/// Checks that the body of a poll reads like its parts, up to the first fault, and its packets
/// survive being written again, into one payload or into many small ones.
pub fn payload(bytes: &[u8]) {
    const LIMIT: usize = 100;
    let read: Vec<_> = engineio::payload::decode(bytes, LIMIT).collect();
    let mut parts: Vec<_> = bytes
        .split(|byte| *byte == 0x1e)
        .map(|part| {
            str::from_utf8(part).map_err(|_| engineio::Fault::Utf8).and_then(engineio::decode)
        })
        .take(LIMIT + 1)
        .collect();
    if let Some(last) = parts.get_mut(LIMIT) {
        *last = Err(engineio::Fault::TooMany);
    }
    if let Some(first) = parts.iter().position(Result::is_err) {
        parts.truncate(first + 1);
    }
    assert_eq!(read, parts);

    let packets: Vec<_> = read.into_iter().map_while(Result::ok).collect();
    for limit in [usize::MAX, 16] {
        let mut payloads = vec![String::new()];
        for packet in &packets {
            let last = payloads.last_mut().expect("it begins with one");
            if !engineio::payload::append(last, &packet.encode(), limit) {
                let mut next = String::new();
                assert!(
                    engineio::payload::append(&mut next, &packet.encode(), limit),
                    "the first one always fits"
                );
                payloads.push(next);
            }
        }
        assert!(
            packets.is_empty()
                || payloads
                    .iter()
                    .all(|payload| payload.len() <= limit || !payload.contains('\x1e'))
        );
        let again = payloads
            .iter()
            .filter(|payload| !payload.is_empty())
            .flat_map(|payload| engineio::payload::decode(payload.as_bytes(), LIMIT));
        assert!(again.eq(packets.iter().cloned().map(Ok)));
    }
}

/// A WebSocket's bytes: the declared length equals the real one and is known from the head; frames
/// do not depend on how the bytes are chunked; a fault remains whatever bytes follow, and the codec
/// refuses it too; the payload of the server's own frames is read unchanged.
pub fn frame(bytes: &[u8]) {
    const LIMIT: usize = 1 << 16;
    let declared: Vec<_> = (0..=bytes.len().min(14))
        .map(|length| websocket::declared_length(&bytes[..length]))
        .collect();
    let first = declared.iter().position(Option::is_some).unwrap_or(declared.len());
    assert!(declared[first..].windows(2).all(|pair| pair[0] == pair[1]), "{declared:?}");

    let checked: Vec<_> =
        (0..=bytes.len().min(140)).map(|length| websocket::check(&bytes[..length])).collect();
    let first = checked.iter().position(Result::is_err).unwrap_or(checked.len());
    assert!(checked[first..].windows(2).all(|pair| pair[0] == pair[1]), "{checked:?}");

    let (mut buffer, mut whole) = (BytesMut::from(bytes), Codec::new().max_size(LIMIT));
    let at_once = frames(&mut buffer, &mut whole);
    let (mut buffer, mut slow) = (BytesMut::new(), Codec::new().max_size(LIMIT));
    let mut one_by_one = Vec::new();
    for byte in bytes {
        buffer.extend_from_slice(&[*byte]);
        one_by_one.extend(frames(&mut buffer, &mut slow));
        if one_by_one.last().is_some_and(|last| last == "Err") {
            break;
        }
    }
    assert_eq!(at_once, one_by_one);

    let mut reader = Codec::new().client_mode().max_size(bytes.len());
    let frame =
        reader.decode(&mut BytesMut::from(&websocket::pong(&bytes[..bytes.len().min(125)])[..]));
    assert!(
        matches!(frame, Ok(Some(Frame::Pong(payload))) if payload == bytes[..bytes.len().min(125)])
    );
    if let Ok(text) = str::from_utf8(bytes) {
        let written = websocket::text(text);
        assert_eq!(websocket::declared_length(&written), Some(bytes.len() as u64));
        let frame = reader.decode(&mut BytesMut::from(&written[..]));
        assert!(matches!(frame, Ok(Some(Frame::Text(payload))) if payload == bytes));
        packet(text);
    }
}

/// Reads frames from a buffer as the server does, up to the first error.
fn frames(buffer: &mut BytesMut, codec: &mut Codec) -> Vec<String> {
    let mut read = Vec::new();
    loop {
        let (declared, checked) = (websocket::declared_length(buffer), websocket::check(buffer));
        match codec.decode(buffer) {
            Ok(None) => return read,
            Ok(Some(frame)) => {
                // A control frame's length has only the short form; the codec also accepts a long
                // form.
                assert!(
                    matches!(checked, Ok(()) | Err(websocket::FrameFault::Control)),
                    "{frame:?}: {checked:?}"
                );
                if let Frame::Text(payload)
                | Frame::Binary(payload)
                | Frame::Ping(payload)
                | Frame::Pong(payload) = &frame
                {
                    assert_eq!(declared, Some(payload.len() as u64));
                }
                read.push(format!("{frame:?}"));
            }
            Err(ProtocolError::Overflow) if declared.is_none() => {
                unreachable!("no length, yet too long")
            }
            Err(error) => {
                // `check` knows only one frame, and neither the order of frames nor the limit.
                let is_order = matches!(
                    error,
                    ProtocolError::ContinuationStarted | ProtocolError::ContinuationNotStarted
                );
                assert!(
                    is_order || matches!(error, ProtocolError::Overflow) || checked.is_err(),
                    "{error}"
                );
                read.push("Err".to_owned());
                return read;
            }
        }
    }
}
