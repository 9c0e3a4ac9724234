//! The documents of a YAML file as text, so that one can go while the others stay byte for byte.
//!
//! Pure. A line that begins with `---` begins a document wherever it stands:
//! YAML forbids it inside of one, even in a block of text.

use std::ops::Range;

/// Where the documents are. What stands before the first `---` is one, too, if only a comment.
fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && begins_document(line) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

fn begins_document(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
}

/// The document that has this line, counted from one.
fn range_of(text: &str, line: usize) -> Range<usize> {
    let at: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    ranges(text).into_iter().find(|range| range.contains(&at)).unwrap_or(0..text.len())
}

/// The text of the document that has this line.
#[must_use]
pub fn document(text: &str, line: usize) -> &str {
    &text[range_of(text, line)]
}

/// The text without the document that has this line.
#[must_use]
pub fn without(text: &str, line: usize) -> String {
    let Range { start, end } = range_of(text, line);
    format!("{}{}", &text[..start], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "# about a\nname: a\n--- # b\nname: b\r\ntext: |\n  ---\n---\nname: c";

    #[test]
    fn a_document_is_found_by_any_of_its_lines() {
        assert_eq!(document(THREE, 2), "# about a\nname: a\n");
        assert_eq!(document(THREE, 3), "--- # b\nname: b\r\ntext: |\n  ---\n");
        assert_eq!(document(THREE, 6), "--- # b\nname: b\r\ntext: |\n  ---\n");
        assert_eq!(document(THREE, 8), "---\nname: c");
    }

    #[test]
    fn the_other_documents_stay_byte_for_byte() {
        assert_eq!(without(THREE, 2), "--- # b\nname: b\r\ntext: |\n  ---\n---\nname: c");
        assert_eq!(without(THREE, 4), "# about a\nname: a\n---\nname: c");
        assert_eq!(without(THREE, 8), "# about a\nname: a\n--- # b\nname: b\r\ntext: |\n  ---\n");
    }

    #[test]
    fn a_marker_in_the_first_line_makes_no_empty_document() {
        assert_eq!(document("---\nname: a\n", 2), "---\nname: a\n");
        assert_eq!(without("---\nname: a\n", 2), "");
        assert_eq!(document("----\nname: a\n", 2), "----\nname: a\n");
    }
}
