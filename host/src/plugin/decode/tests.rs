use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn field(name: &str, kind: CqlType, is_optional: bool) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        is_optional,
    }
}

/// The cells of a message with one field.
fn decode(field: &Field, message: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let mut decoder = Decoder::new(std::slice::from_ref(field));
    // What stands in the column already must stay as it is.
    let mut columns = [Column {
        bytes: vec![1, 2],
        lengths: vec![2],
    }];
    let decoded = decoder.decode(message, &mut columns);
    let [Column { bytes, lengths }] = columns;
    assert_eq!((&bytes[..2], lengths[0]), (&[1, 2][..], 2));
    match decoded {
        Ok(()) => {
            assert_eq!(lengths.len(), 2);
            assert_eq!(usize::try_from(lengths[1]).unwrap_or(0), bytes.len() - 2);
            Ok((lengths[1] >= 0).then(|| bytes[2..].to_vec()))
        }
        Err(refusal) => {
            assert_eq!(
                (bytes.len(), lengths.len()),
                (2, 1),
                "something was left behind"
            );
            Err(refusal)
        }
    }
}

#[test]
fn members_become_cells() {
    let check = |name: &str, kind, message: &str, want: &[u8]| {
        let cell = decode(&field(name, kind, false), message.as_bytes());
        assert_eq!(cell, Ok(Some(want.to_vec())), "{message}");
    };
    let text = CqlType::Text;
    check("a", text, r#"{"a":"Zoë"}"#, "Zoë".as_bytes());
    check(
        "a",
        text,
        r#" { "b" : [ {"a":"no"}, 1.5e3 ] , "a" : "yes" } "#,
        b"yes",
    );
    check("a", text, r#"{"a":"first","a":"last"}"#, b"last");
    check("a", text, r#"{"a":7,"a":"last"}"#, b"last");
    check(
        "a",
        text,
        r#"{"\u0061":"\"\\\/\b\f\n\r\t\u00e9\ud83c\udfb5"}"#,
        "\"\\/\u{8}\u{c}\n\r\té🎵".as_bytes(),
    );
    check("a", text, r#"{"a":""}"#, b"");
    check("a.b", text, r#"{"a":{"c":0,"b":"in"},"b":"out"}"#, b"in");
    check("a.b", text, r#"{"a":7,"a":{"b":"in"}}"#, b"in");
    check("a", CqlType::Ascii, r#"{"a":"x"}"#, b"x");
    check("a", CqlType::Boolean, r#"{"a":true}"#, &[1]);
    check("a", CqlType::Tinyint, r#"{"a":-128}"#, &[128]);
    check("a", CqlType::Int, r#"{"a":-0}"#, &[0; 4]);
    check(
        "a",
        CqlType::Bigint,
        r#"{"a":-9223372036854775808}"#,
        &i64::MIN.to_be_bytes(),
    );
    check("a", CqlType::Float, r#"{"a":0.1}"#, &0.1_f32.to_be_bytes());
    check("a", CqlType::Double, r#"{"a":1}"#, &1_f64.to_be_bytes());
    check("a", CqlType::Varint, r#"{"a":128}"#, &[0, 128]);
    check("a", CqlType::Decimal, r#"{"a":1.5}"#, &[0, 0, 0, 1, 15]);
    check("a", CqlType::Blob, r#"{"a":"0x00ff"}"#, &[0, 255]);
    check("a", CqlType::Date, r#"{"a":"1970-01-01"}"#, &[128, 0, 0, 0]);
    check(
        "a",
        CqlType::Timestamp,
        r#"{"a":1700000000000}"#,
        &1_700_000_000_000_i64.to_be_bytes(),
    );
    check(
        "a",
        CqlType::Timestamp,
        r#"{"a":"1970-01-01 00:01"}"#,
        &60_000_i64.to_be_bytes(),
    );
    check(
        "a",
        CqlType::Timestamp,
        r#"{"a":"1970-01-01T00:00:01.5Z"}"#,
        &1_500_i64.to_be_bytes(),
    );
}

#[test]
fn what_is_wrong_is_told_by_its_code() {
    let deep = format!("{}{}", r#"{"b":"#.repeat(129), "}".repeat(129));
    let check = |kind, message: &[u8], code: &str, reason: &str| {
        let refusal = decode(&field("a", kind, false), message).unwrap_err();
        let message = String::from_utf8_lossy(message);
        assert_eq!(refusal.code, code, "{message}: {}", refusal.reason);
        assert!(
            refusal.reason.contains(reason),
            "{message}: {}",
            refusal.reason
        );
    };
    let (text, int) = (CqlType::Text, CqlType::Int);
    check(text, b"", "bad_json", "empty");
    check(
        text,
        b"\0\0\0\0\x01{}",
        "registry_framing",
        "schema registries",
    );
    check(
        text,
        b"{\"a\":\"x\"} x",
        "bad_json",
        "more after the value at byte 10",
    );
    check(text, b"{\"a\":\"x\"", "bad_json", "at byte 8");
    check(text, b"{\"a\":NaN}", "bad_json", "at byte 5");
    check(text, b"{\"a\":\"x\",\"b\":1e400}", "bad_json", "too large");
    check(text, b"{\"a\":\"x\",\"b\":01}", "bad_json", "no number");
    check(text, b"{\"a\":\"x\",}", "bad_json", "no name");
    check(text, b"{\"a\":\"\\ud800\"}", "bad_json", "letter");
    check(text, b"{\"a\":\"\n\"}", "bad_json", "control character");
    check(text, deep.as_bytes(), "bad_json", "128 levels");
    check(
        text,
        b"{\"a\":\"x\",\"b\":\"\xff\"}",
        "bad_utf8",
        "`b` is not UTF-8 at byte 14",
    );
    check(text, b"[]", "wrong_type", "not an object");
    check(text, b"{}", "missing_field", "`a`");
    check(text, b"{\"a\":\"x\",\"a\":null}", "missing_field", "`a`");
    check(text, b"{\"A\":\"x\"}", "missing_field", "`a`");
    check(
        text,
        b"{\"a\":7}",
        "wrong_type",
        "`a` is a number, which is no text",
    );
    check(text, b"{\"a\":{}}", "wrong_type", "an object");
    check(int, b"{\"a\":2147483648}", "wrong_type", "no int");
    check(int, b"{\"a\":1.0}", "wrong_type", "no int");
    check(int, b"{\"a\":1e3}", "wrong_type", "no int");
    check(int, b"{\"a\":\"1\"}", "wrong_type", "a text");
    check(int, b"{\"a\":true}", "wrong_type", "a boolean");
    check(CqlType::Float, b"{\"a\":1e39}", "wrong_type", "no float");
    check(
        CqlType::Timestamp,
        b"{\"a\":\"1700000000000\"}",
        "wrong_type",
        "no timestamp",
    );
    check(
        CqlType::Ascii,
        "{\"a\":\"é\"}".as_bytes(),
        "wrong_type",
        "no ascii",
    );
}

#[test]
fn what_is_wrong_above_a_nested_field_is_told() {
    let nested = field("a.b", CqlType::Text, false);
    assert_eq!(
        decode(&nested, b"{\"a\":7}").unwrap_err().code,
        "wrong_type"
    );
    assert_eq!(
        decode(&nested, b"{\"a\":null}").unwrap_err().code,
        "missing_field"
    );
    assert_eq!(
        decode(&nested, b"{\"a\":{\"b\":\"x\"},\"a\":{}}")
            .unwrap_err()
            .code,
        "missing_field"
    );
}

#[test]
fn what_may_be_missing_is_null() {
    for message in ["{}", r#"{"a":null}"#, r#"{"a":"x","a":null}"#] {
        assert_eq!(
            decode(&field("a", CqlType::Text, true), message.as_bytes()),
            Ok(None)
        );
    }
}

/// Any JSON value, with members that are fields and others.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]|\\PC{0,9}", inner), 0..6).prop_map(
                |members| Value::from(members.into_iter().collect::<serde_json::Map<_, _>>())
            ),
        ]
    })
}

/// What `serde_json` makes of the field `a.b` or `a`, as text.
fn reference(message: &[u8], path: &[&str]) -> Result<Option<String>, &'static str> {
    let value: Value = serde_json::from_slice(message).map_err(|_| "bad_json")?;
    let mut at = &value;
    if !at.is_object() {
        return Err("wrong_type");
    }
    for name in path {
        match at {
            Value::Object(members) => at = members.get(*name).unwrap_or(&Value::Null),
            Value::Null => return Ok(None),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err("wrong_type");
            }
        }
    }
    match at {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err("wrong_type"),
    }
}

fn agree(message: &[u8]) {
    for path in ["a", "a.b"] {
        let want = reference(message, &path.split('.').collect::<Vec<_>>());
        let found = decode(&field(path, CqlType::Text, true), message);
        let found = found.map(|cell| cell.map(|cell| String::from_utf8(cell).unwrap()));
        // A text that is not UTF-8 has a code of its own here, as has the byte 0 in front.
        let found = found.map_err(|refusal| match refusal.code {
            "bad_utf8" | "registry_framing" => "bad_json",
            code => code,
        });
        assert_eq!(found, want, "{}", String::from_utf8_lossy(message));
    }
}

proptest! {
    #[test]
    fn whole_messages_are_read_as_serde_json_reads_them(value in json(), is_pretty: bool) {
        let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        agree(text.unwrap().as_bytes());
    }

    #[test]
    fn damaged_messages_are_refused_as_serde_json_refuses_them(value in json(), at: prop::sample::Index, byte: u8) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        agree(&text);
    }

    #[test]
    fn any_bytes_are_read_as_serde_json_reads_them(text in r#"[{}\[\],:"\\abu0-9eE+. tn-]{0,24}"#) {
        agree(text.as_bytes());
    }
}
