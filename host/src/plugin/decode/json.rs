//! JSON, token by token and strictly: what `serde_json` refuses is refused here (a property holds
//! the two together). Nothing is allocated but the scratch for texts with escapes.

use super::escape::unescape;

/// The deepest nesting of objects and arrays.
const DEPTH_MAX: usize = 128;
/// Integers of so many digits fit into 64 bits, whichever digits they are.
const I64_DIGITS_SURE: usize = 18;

/// Why bytes are no JSON.
#[derive(Debug)]
pub(super) enum Fault {
    /// Something is not where it belongs.
    Syntax {
        /// Where, from 0.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A text is not UTF-8.
    Utf8 {
        /// Where, from 0.
        at: usize,
        /// The member it stands in.
        member: Vec<u8>,
    },
}

/// The beginning of a value, or the whole of one that has no parts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Null,
    Boolean(bool),
    Number(Number<'a>),
    /// A text whose escapes are not looked at yet.
    Text(Text),
    /// The members follow.
    Object,
    /// The elements follow.
    Array,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    bytes: &'a [u8],
    /// Whether it has neither fraction nor exponent.
    pub(super) is_integral: bool,
    /// Its value, if it is integral and fits.
    value: Option<i64>,
}

impl<'a> Number<'a> {
    pub(super) fn text(&self) -> &'a str {
        std::str::from_utf8(self.bytes).expect("it has figures only")
    }

    /// Hands over the number, if it is an integer of the range.
    pub(super) fn integer<N: TryFrom<i64>>(&self, take: impl FnOnce(N)) -> Option<()> {
        self.value
            .and_then(|value| N::try_from(value).ok())
            .map(take)
    }
}

/// Where a text is, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    start: usize,
    end: usize,
    has_escapes: bool,
    is_ascii: bool,
}

/// Reads one message.
pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Where the name of the member is that is being read, for messages.
    member: (usize, usize),
    scratch: &'a mut Vec<u8>,
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// The high bit of each byte that is zero. The lowest one found is right; higher ones may follow it
/// falsely.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
            member: (0, 0),
            scratch,
        }
    }

    /// Reads the beginning of a value.
    pub(super) fn value(&mut self) -> Result<Token<'a>, Fault> {
        match self.next_byte() {
            Some(b'"') => {
                self.at += 1;
                Ok(Token::Text(self.scan()?))
            }
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number(self.number()?)),
            Some(b'{') => self.enter(Token::Object),
            Some(b'[') => self.enter(Token::Array),
            Some(b'n') => self.literal("null", Token::Null),
            Some(b't') => self.literal("true", Token::Boolean(true)),
            Some(b'f') => self.literal("false", Token::Boolean(false)),
            Some(_) => Err(self.fault("no value")),
            None => Err(self.fault("no value, but the end")),
        }
    }

    /// Reads on to the next member's value and answers with its name; `None` at the object's end.
    pub(super) fn member(&mut self, is_first: bool) -> Result<Option<Text>, Fault> {
        match self.next_byte() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !is_first => {
                self.at += 1;
                self.next_byte();
            }
            _ if !is_first => return Err(self.fault("neither comma nor brace")),
            _ => {}
        }
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.fault("no name of a member"));
        }
        self.at += 1;
        let name = self.scan()?;
        self.member = (name.start, name.end);
        if self.next_byte() != Some(b':') {
            return Err(self.fault("no colon"));
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// A member's name, without escapes.
    pub(super) fn name(&mut self, name: Text) -> Result<&[u8], Fault> {
        self.text(name).map(str::as_bytes)
    }

    /// A text, without escapes.
    pub(super) fn text(&mut self, text: Text) -> Result<&str, Fault> {
        let bytes = &self.bytes[text.start..text.end];
        let plain = if text.is_ascii {
            // SAFETY: the scan saw every byte of it, and none had its high bit set.
            unsafe { std::str::from_utf8_unchecked(bytes) }
        } else {
            std::str::from_utf8(bytes).map_err(|error| Fault::Utf8 {
                at: text.start + error.valid_up_to(),
                member: self.bytes[self.member.0..self.member.1].to_vec(),
            })?
        };
        if !text.has_escapes {
            return Ok(plain);
        }
        self.scratch.clear();
        let what = |what| Fault::Syntax {
            at: text.start,
            what,
        };
        unescape(plain, self.scratch).map_err(what)?;
        std::str::from_utf8(self.scratch).map_err(|_| what("text that is no text"))
    }

    /// Reads over the rest of a value that nobody wants. It must be right nevertheless.
    pub(super) fn skip(&mut self, token: &Token<'a>) -> Result<(), Fault> {
        match token {
            Token::Null | Token::Boolean(_) | Token::Number(_) => {}
            Token::Text(text) => {
                self.text(*text)?;
            }
            Token::Object => {
                let mut is_first = true;
                while let Some(name) = self.member(is_first)? {
                    is_first = false;
                    self.text(name)?;
                    let token = self.value()?;
                    self.skip(&token)?;
                }
                self.leave();
            }
            Token::Array => {
                let mut is_first = true;
                while self.element(is_first)? {
                    is_first = false;
                    let token = self.value()?;
                    self.skip(&token)?;
                }
                self.leave();
            }
        }
        Ok(())
    }

    /// An object or array has ended.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Checks that nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.fault("more after the value")),
        }
    }

    fn enter(&mut self, token: Token<'a>) -> Result<Token<'a>, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault("nesting of more than 128 levels"));
        }
        self.at += 1;
        Ok(token)
    }

    /// Reads on to the next element; `false` at the array's end.
    fn element(&mut self, is_first: bool) -> Result<bool, Fault> {
        match self.next_byte() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.fault("neither comma nor bracket")),
        }
    }

    /// Passes over blanks and answers with the byte after them.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn literal(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("an unknown word"));
        }
        self.at += word.len();
        Ok(token)
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault::Syntax { at: self.at, what }
    }

    /// Finds the end of the text that begins here, eight bytes at a time.
    fn scan(&mut self) -> Result<Text, Fault> {
        let start = self.at;
        let (mut has_escapes, mut high) = (false, 0);
        loop {
            let byte = match self.bytes[self.at..].first_chunk::<8>() {
                Some(chunk) => {
                    let word = u64::from_le_bytes(*chunk);
                    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
                    let quote = zeros(word ^ (ONES * u64::from(b'"')));
                    let found = control | quote | zeros(word ^ (ONES * u64::from(b'\\')));
                    // Bytes after a closing quote may count here: then a text is checked in vain.
                    high |= word & HIGHS;
                    self.at += (found.trailing_zeros() / 8) as usize;
                    if found == 0 {
                        continue;
                    }
                    self.bytes[self.at]
                }
                None => {
                    let Some(byte) = self.bytes.get(self.at) else {
                        return Err(self.fault("no closing quote"));
                    };
                    high |= u64::from(*byte & 0x80);
                    *byte
                }
            };
            match byte {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Text {
                        start,
                        end,
                        has_escapes,
                        is_ascii: high == 0,
                    });
                }
                b'\\' => {
                    // The byte after it is no end, whatever it is; `unescape` looks at it.
                    let escaped = self.bytes.get(self.at + 1).copied().unwrap_or(0);
                    has_escapes = true;
                    high |= u64::from(escaped & 0x80);
                    self.at = (self.at + 2).min(self.bytes.len());
                }
                0..0x20 => return Err(self.fault("a control character in a text")),
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Result<Number<'a>, Fault> {
        let start = self.at;
        let is_negative = self.take(b'-');
        let whole = self.at;
        let mut value = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - whole;
        if digits == 0 || (digits > 1 && self.bytes[whole] == b'0') {
            return Err(self.fault("no number"));
        }
        let mut is_integral = true;
        if self.take(b'.') {
            is_integral = false;
            self.digits()?;
        }
        let has_exponent = self.take(b'e') || self.take(b'E');
        if has_exponent {
            is_integral = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let mut number = Number {
            bytes: &self.bytes[start..self.at],
            is_integral,
            value: None,
        };
        let is_finite = |number: &str| number.parse().is_ok_and(f64::is_finite);
        // Below 300 digits and without an exponent no number is too large.
        if (has_exponent || digits > 300) && !is_finite(number.text()) {
            return Err(self.fault("a number too large"));
        }
        number.value = match (is_integral, digits) {
            (true, ..=I64_DIGITS_SURE) => Some(if is_negative { -value } else { value }),
            (true, _) => number.text().parse().ok(),
            (false, _) => None,
        };
        Ok(number)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.fault("no digit"))
        } else {
            Ok(())
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_here = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_here);
        is_here
    }
}
