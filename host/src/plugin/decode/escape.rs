//! The escapes of JSON's texts.

/// Appends a text without its escapes.
pub(super) fn unescape(text: &str, plain: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        plain.extend_from_slice(&rest[..at]);
        let Some((escape, after)) = rest[at + 1..].split_first() else {
            return Err("an escape without end");
        };
        rest = after;
        let byte = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let letter = letter(&mut rest).ok_or("an escape of no letter")?;
                plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err("an unknown escape"),
        };
        plain.push(byte);
    }
    plain.extend_from_slice(rest);
    Ok(())
}

/// The letter of `\u`, which may take two of them.
fn letter(rest: &mut &[u8]) -> Option<char> {
    let first = unit(rest)?;
    if !(0xd800..0xe000).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix(b"\\u")?;
    char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(unit(rest)?).ok()?])
        .next()?
        .ok()
}

/// Four hexadecimal digits.
fn unit(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    digits.iter().try_fold(0, |sum, digit| {
        Some(sum << 4 | char::from(*digit).to_digit(16)?)
    })
}
