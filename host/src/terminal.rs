//! What a terminal is shown of the words of others: a plugin's, a message's, a file's.

/// A text that steers no terminal: what it would not show as it stands becomes spaces. Lines stay.
pub fn plain(text: &str) -> String {
    text.replace(|letter| letter != '\n' && is_hidden(letter), " ")
}

/// The same in one line: ends of lines become spaces as well, so that nothing forges a line of its own.
pub fn line(text: &str) -> String {
    text.replace(is_hidden, " ")
}

/// Whether a terminal would do something else than show a letter: control characters, and those that
/// turn the direction of reading (Unicode's UAX #9).
pub fn is_hidden(letter: char) -> bool {
    let turns_around = ['\u{61c}', '\u{200e}', '\u{200f}'];
    letter.is_control()
        || turns_around.contains(&letter)
        || ('\u{202a}'..='\u{202e}').contains(&letter)
        || ('\u{2066}'..='\u{2069}').contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_hidden_goes() {
        for (text, shown, in_a_line) in [
            ("", "", ""),
            ("Zoë\n東京", "Zoë\n東京", "Zoë 東京"),
            ("a\u{1b}[2Jb\r\tc\u{7f}\u{9b}", "a [2Jb  c  ", "a [2Jb  c  "),
            (
                "\u{202e}gpj.exe\u{2066}\u{200f}",
                " gpj.exe  ",
                " gpj.exe  ",
            ),
        ] {
            assert_eq!(plain(text), shown);
            assert_eq!(line(text), in_a_line);
        }
    }
}
