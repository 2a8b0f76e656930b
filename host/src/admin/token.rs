//! What a program must know to change anything: whoever may read the notice of a host knows it.

use std::fmt;

use uuid::Uuid;

/// A secret of this run, made anew by each.
pub(super) struct Token(String);

impl Token {
    /// 244 random bits from the system, as 64 hexadecimal digits.
    pub(super) fn random() -> Self {
        let half = || Uuid::new_v4().simple();
        Self(format!("{}{}", half(), half()))
    }

    /// For the notice, and nobody else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a request shows it. How long that takes does not tell how much of it is right.
    pub(super) fn is_shown_by(&self, authorization: &[u8]) -> bool {
        let Some((scheme, shown)) = authorization.split_at_checked("Bearer ".len()) else {
            return false;
        };
        let own = self.0.as_bytes();
        let differs = own.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
        scheme.eq_ignore_ascii_case(b"Bearer ") && shown.len() == own.len() && differs == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_counts() {
        let (token, other) = (Token::random(), Token::random());
        let own = token.reveal();
        assert!(own.len() == 64 && own.chars().all(|digit| digit.is_ascii_hexdigit()));
        for (shown, is_right) in [
            (format!("Bearer {own}"), true),
            (format!("bearer {own}"), true),
            (format!("Bearer {}", other.reveal()), false),
            (format!("Bearer {}", &own[..63]), false),
            (format!("Bearer {own}0"), false),
            (format!("Bearer  {own}"), false),
            (format!("Basic {own}"), false),
            (own.to_owned(), false),
            ("Bearer ".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(token.is_shown_by(shown.as_bytes()), is_right, "{shown}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
