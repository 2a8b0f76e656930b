use super::*;

fn cell(kind: CqlType, text: &str) -> Option<Vec<u8>> {
    let mut cell = vec![];
    let parsed = parse(kind, text, &mut cell);
    assert!(
        parsed || cell.is_empty(),
        "{text}: something was left behind"
    );
    parsed.then_some(cell)
}

#[test]
fn texts_become_cells_and_are_shown_alike() {
    let check = |kind, text: &str, want: &[u8], shown: &str| {
        let cell = cell(kind, text);
        assert_eq!(cell.as_deref(), Some(want), "{kind:?} {text}");
        assert_eq!(show(kind, want), shown, "{kind:?} {text}");
    };
    check(CqlType::Text, " Zoë ", " Zoë ".as_bytes(), " Zoë ");
    check(CqlType::Ascii, "a", b"a", "a");
    check(CqlType::Blob, "0x00fF", &[0, 255], "0x00ff");
    check(CqlType::Boolean, "True", &[1], "true");
    check(CqlType::Tinyint, "-128", &[0x80], "-128");
    check(CqlType::Smallint, "258", &[1, 2], "258");
    check(CqlType::Int, "-1", &[255; 4], "-1");
    check(CqlType::Bigint, "1", &[0, 0, 0, 0, 0, 0, 0, 1], "1");
    check(CqlType::Float, "0.5", &0.5_f32.to_be_bytes(), "0.5");
    check(
        CqlType::Double,
        "-2.5e3",
        &(-2500.0_f64).to_be_bytes(),
        "-2500",
    );
    check(CqlType::Date, "1970-01-02", &[0x80, 0, 0, 1], "1970-01-02");
    check(
        CqlType::Date,
        "1969-12-31",
        &[0x7f, 255, 255, 255],
        "1969-12-31",
    );
    let noon = 43_200_000_000_000_i64.to_be_bytes();
    check(CqlType::Time, "12:00", &noon, "12:00:00.000000000");
    check(CqlType::Inet, "127.0.0.1", &[127, 0, 0, 1], "127.0.0.1");
    check(CqlType::Varint, "128", &[0, 128], "128");
    check(CqlType::Varint, "-128", &[128], "-128");
    check(CqlType::Varint, "-129", &[255, 127], "-129");
    check(CqlType::Varint, "-0", &[0], "0");
    check(CqlType::Varint, "65536", &[1, 0, 0], "65536");
    check(
        CqlType::Decimal,
        "-1.50",
        &[0, 0, 0, 2, 255, 0x6a],
        "-150e-2",
    );
    check(CqlType::Duration, "1mo2d3ns", &[2, 4, 6], "1mo2d3ns");
    check(
        CqlType::Duration,
        "-1h",
        &[0, 0, 0xfc, 0x06, 0x8c, 0x61, 0x71, 0x3f, 0xff],
        "-0mo0d3600000000000ns",
    );
}

#[test]
fn what_is_not_wholly_a_value_is_none() {
    let check = |kind, text| assert_eq!(cell(kind, text), None, "{kind:?} {text:?}");
    for text in ["", " 1", "1 ", "1.0", "1e3", "2147483648", "0x1", "one"] {
        check(CqlType::Int, text);
    }
    for text in ["", "nan", "inf", "1e39", "1,5", "0x1p3"] {
        check(CqlType::Float, text);
    }
    for text in [
        "",
        "2023-02-29",
        "2023-13-01",
        "2023-1-1",
        "23-01-01",
        "2023-01-01 ",
        "+023-01-01",
    ] {
        check(CqlType::Date, text);
        check(CqlType::Timestamp, text);
    }
    for text in [
        "24:00",
        "12:60",
        "12:00:60",
        "12",
        "12:00:",
        "12:00:00.",
        "12:00:00.1234567890",
    ] {
        check(CqlType::Time, text);
    }
    for text in ["0x1", "0xgg", "12", "0x+1"] {
        check(CqlType::Blob, text);
    }
    for text in ["", "-", "--1", "1-", "+1"] {
        check(CqlType::Varint, text);
        check(CqlType::Decimal, text);
    }
    for text in [".", "1.", ".5", "1e", "1.-5"] {
        check(CqlType::Decimal, text);
    }
    for text in [
        "",
        "-",
        "1",
        "1x",
        "d",
        "9223372036854775807h",
        "2147483648mo",
    ] {
        check(CqlType::Duration, text);
    }
    check(CqlType::Uuid, "67e5504410b1426f9247bb680e5fe0c8");
    check(CqlType::Timeuuid, "67e55044-10b1-426f-9247-bb680e5fe0c8");
}

#[test]
fn times_of_every_form() {
    let check = |text, want: i64| assert_eq!(timestamp(text), Some(want), "{text}");
    check("1970-01-01", 0);
    check("2024-02-29T00:00:00Z", 1_709_164_800_000);
    check("2024-02-29 00:00", 1_709_164_800_000);
    check("2024-02-29T01:30:00.123456+01:30", 1_709_164_800_123);
    check("2024-02-28T19:00:00,5-0500", 1_709_164_800_500);
    check("2024-02-28t19:00:00-05", 1_709_164_800_000);
    check("1969-12-31T23:59:59.999z", -1);
    for text in [
        "2024-02-29T",
        "2024-02-29T00:00:00+1",
        "2024-02-29T00:00 Z",
        "2024-02-29T00:00:00+24:00",
    ] {
        assert_eq!(timestamp(text), None, "{text}");
    }
}

#[test]
fn every_day_comes_back() {
    for day in (-719_528..2_932_896).step_by(97) {
        assert_eq!(days(show_day(day).as_bytes()), Some(day));
    }
}
