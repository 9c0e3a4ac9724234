//! Lines of logs, as text: without what would move the cursor of a terminal. Pure.

use jiff::Timestamp;

use super::engine::LogLine;

/// More of a line than anybody reads, in bytes.
pub const LONGEST: usize = 4096;

/// A line as the engine sends it, with its time in front.
#[must_use]
pub fn line(bytes: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    let split = text.split_once(' ').or((!text.is_empty()).then_some((text, "")));
    match split.and_then(|(time, rest)| Some((time.parse::<Timestamp>().ok()?, rest))) {
        Some((at, rest)) => LogLine { at: Some(at), text: plain(rest) },
        None => LogLine { at: None, text: plain(text) },
    }
}

/// A text without escape sequences and control characters. What a carriage return has written over is gone.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip(&mut rest),
            // The same sequences in one character.
            '\u{9b}' => skip_to_end(&mut rest),
            '\t' => plain.push('\t'),
            c if c.is_control() || is_bidi(c) => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Characters that turn the direction of a text around, and so can make it read as something else.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What stands behind an escape character.
fn skip(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_to_end(rest),
        // A text for the terminal itself, as its title: until a bell or another escape.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next() {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' {
                    rest.next();
                    break;
                }
            }
        }
        // A character set is named by one more.
        Some('(' | ')' | '*' | '+' | '#' | ' ' | '%') => drop(rest.next()),
        Some(_) | None => {}
    }
}

fn skip_to_end(rest: &mut std::str::Chars<'_>) {
    rest.find(|c| matches!(c, '\u{40}'..='\u{7e}'));
}

/// As much of a line as is shown.
#[must_use]
pub fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_in_front() {
        let seen = line(b"2026-01-02T03:04:05.123456789Z ready\n");
        assert_eq!(seen.at.unwrap().to_string(), "2026-01-02T03:04:05.123456789Z");
        assert_eq!(seen.text, "ready");
        assert_eq!(line(b"2026-01-02T03:04:05Z \r\n").text, "");
        assert_eq!(line(b"no time here"), LogLine { at: None, text: "no time here".to_owned() });
        assert_eq!(line(b"").text, "");
        assert_eq!(line(b"2026-01-02T03:04:05Z a\xffb").text, "a\u{fffd}b");
    }

    #[test]
    fn nothing_of_a_terminal_is_left() {
        for (written, seen) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;5;196mred\u{1b}[K", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://a\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bplain", "plain"),
            ("\u{9b}2Jgone", "gone"),
            ("10%\r50%\r100%\r", "100%"),
            ("a\u{8}b\u{0}c\td", "abc\td"),
            ("user\u{202e}gnp.exe", "usergnp.exe"),
            ("\u{1b}[31", ""),
            ("\u{1b}", ""),
        ] {
            assert_eq!(plain(written), seen, "{written:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = "ä".repeat(LONGEST);
        let cut = shortened(long);
        assert!(cut.ends_with("ä…") && cut.len() <= LONGEST + '…'.len_utf8());
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
