//! A text that fails → a shorter one that fails in the same way.

use std::time::{Duration, Instant};

/// Whoever reads the result has waited long enough by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes out what is not needed, then makes plain what is left.
pub fn shortest(text: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let begin = Instant::now();
    let mut text = text.to_vec();
    loop {
        let before = text.clone();
        let mut size = text.len().div_ceil(2);
        while size > 0 && begin.elapsed() < PATIENCE {
            let mut at = 0;
            while at < text.len() && begin.elapsed() < PATIENCE {
                let end = (at + size).min(text.len());
                let less = [&text[..at], &text[end..]].concat();
                if fails(&less) {
                    text = less;
                } else {
                    at = end;
                }
            }
            size /= 2;
        }
        for at in 0..text.len().min(400) {
            let mut plain = text.clone();
            plain[at] = b'a';
            if text[at] != b'a' && begin.elapsed() < PATIENCE && fails(&plain) {
                text = plain;
            }
        }
        if text == before || begin.elapsed() >= PATIENCE {
            return text;
        }
    }
}

#[test]
fn what_fails_is_made_as_short_as_it_can_be() {
    let fails = |text: &[u8]| text.windows(2).any(|pair| pair == b"=;");
    assert_eq!(shortest(b"server {\n  listen 80;\n  a =; b\n}\n", fails), b"=;");
}
