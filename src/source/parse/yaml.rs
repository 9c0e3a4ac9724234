//! Text → documents: values, and the places of all their parts.
//!
//! The text is read twice, once for values and once for places, because no
//! parser gives both. Aliases are expanded only for the values, under a budget,
//! so that a few lines cannot become gigabytes.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;
use serde_yaml::{
    DuplicateKeyPolicy, Error, MessageFormatter as _, UserMessageFormatter,
    granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput},
};

use super::{Code, Fault, Place};

/// The most nodes of one file, aliases expanded: a thousand containers with a hundred fields each.
const MAX_NODES: usize = 100_000;

/// The most text of one file, aliases expanded: a few times what can stand in it without them.
const MAX_TEXT_BYTES: usize = 4 * super::MAX_BYTES;

/// The most documents of one file.
const MAX_DOCUMENTS: usize = 10_000;

/// One document of a file.
pub(super) struct Document {
    /// What it says.
    pub(super) value: Value,
    /// Where it says so.
    pub(super) spans: Spans,
}

/// The places of a document's parts, by JSON pointer.
#[derive(Default)]
pub(super) struct Spans {
    nodes: BTreeMap<String, Node>,
    /// Keys that a mapping has a second time: pointer, the first place, this place.
    pub(super) duplicates: Vec<(String, Place, Place)>,
    /// Plain scalars that may be numbers, but are not written as numbers are printed: `0x1F`, `+5`, `1_000`.
    pub(super) odd_numbers: Vec<String>,
    is_null: bool,
}

/// Where one part stands.
struct Node {
    key: Option<Span>,
    value: Span,
}

impl Spans {
    /// The place of a part's value.
    pub(super) fn value(&self, pointer: &str) -> Option<Place> {
        self.nodes.get(pointer).map(|node| place(node.value.start))
    }

    /// The place of the key that leads to a part; that of the value where there is no key, as in a list.
    pub(super) fn key(&self, pointer: &str) -> Option<Place> {
        self.nodes.get(pointer).map(|node| place(node.key.as_ref().unwrap_or(&node.value).start))
    }
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// Reads all documents that are not empty.
pub(super) fn documents(text: &str) -> Result<Vec<Document>, Fault> {
    let spans = spans(text)?;
    let values = values(text)?;
    if spans.len() != values.len() {
        return Err(Fault::new(Place::START, Code::Syntax, "the documents of this file cannot be told apart"));
    }
    Ok(values.into_iter().zip(spans).map(|(value, spans)| Document { value, spans }).collect())
}

fn values(text: &str) -> Result<Vec<Value>, Fault> {
    let options = serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false,
        // They are reported with both places from the other reading, beside whatever else is wrong.
        duplicate_keys: DuplicateKeyPolicy::FirstWins,
        budget: serde_yaml::budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: MAX_DOCUMENTS,
            max_total_scalar_bytes: MAX_TEXT_BYTES,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: MAX_TEXT_BYTES,
        },
        alias_limits: serde_yaml::options::AliasLimits::default(),
    };
    serde_yaml::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location().map_or(Place::START, |location| Place {
            line: usize::try_from(location.line()).unwrap_or(1),
            column: usize::try_from(location.column()).unwrap_or(1),
        });
        unusable(place, &error)
    })
}

/// Says in plain words why YAML has no values.
fn unusable(place: Place, error: &Error) -> Fault {
    match error {
        Error::AliasError { error, .. } => unusable(place, error),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            let message = "the file says too much, counting each alias as what it stands for";
            Fault::new(place, Code::Syntax, message).with_help("split it into several files, or use fewer aliases")
        }
        error => {
            let message = UserMessageFormatter.format_message(error);
            Fault::new(place, Code::Syntax, format!("the YAML cannot be used: {message}"))
        }
    }
}

fn spans(text: &str) -> Result<Vec<Spans>, Fault> {
    let mut reader = Reader::default();
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(text, &error))?;
        reader.read(event, span);
    }
    Ok(reader.documents.into_iter().filter(|document| !document.is_null && !document.nodes.is_empty()).collect())
}

/// Builds the span maps from the parser's events.
#[derive(Default)]
struct Reader {
    documents: Vec<Spans>,
    open: Vec<Open>,
}

/// A collection whose end has not been read.
enum Open {
    Mapping {
        pointer: String,
        seen: BTreeMap<String, Span>,
        key: Option<(String, Span)>,
    },
    Sequence {
        pointer: String,
        index: usize,
    },
    /// A collection in the place of a key, which has no pointer; the other reading refuses it.
    Key,
}

/// Where the next node belongs.
enum Slot {
    Node { pointer: String, key: Option<Span> },
    Key,
    Nowhere,
}

impl Reader {
    fn read(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::DocumentStart(..) => self.documents.push(Spans::default()),
            Event::Scalar(text, style, ..) => self.scalar(text, style, span),
            Event::Alias(_) => self.scalar(Cow::Borrowed("*"), ScalarStyle::Plain, span),
            Event::MappingStart(..) => {
                let open = self.collection(span, |pointer| Open::Mapping { pointer, seen: BTreeMap::new(), key: None });
                self.open.push(open);
            }
            Event::SequenceStart(..) => {
                let open = self.collection(span, |pointer| Open::Sequence { pointer, index: 0 });
                self.open.push(open);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Open::Key) = self.open.pop() {
                    self.give_key("?".to_owned(), Span::default());
                }
            }
            _ => {}
        }
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, span: Span) {
        match self.slot() {
            Slot::Key => self.give_key(text.into_owned(), span),
            Slot::Node { pointer, key } => {
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let is_root = pointer.is_empty();
                // Where nothing stands, the parser names the place of what comes next.
                let span = if text.is_empty() && is_null { key.unwrap_or(span) } else { span };
                if style == ScalarStyle::Plain && is_odd_number(&text) {
                    self.documents.last_mut().into_iter().for_each(|document| document.odd_numbers.push(pointer.clone()));
                }
                self.record(pointer, Node { key, value: span });
                if let Some(document) = self.documents.last_mut().filter(|_| is_root) {
                    document.is_null = is_null;
                }
            }
            Slot::Nowhere => {}
        }
    }

    fn collection(&mut self, span: Span, open: impl FnOnce(String) -> Open) -> Open {
        match self.slot() {
            Slot::Node { pointer, key } => {
                self.record(pointer.clone(), Node { key, value: span });
                open(pointer)
            }
            Slot::Key | Slot::Nowhere => Open::Key,
        }
    }

    fn slot(&mut self) -> Slot {
        match self.open.last_mut() {
            None => Slot::Node { pointer: String::new(), key: None },
            Some(Open::Key) => Slot::Nowhere,
            Some(Open::Mapping { pointer, key, .. }) => match key.take() {
                None => Slot::Key,
                Some((name, span)) => Slot::Node { pointer: format!("{pointer}/{}", escaped(&name)), key: Some(span) },
            },
            Some(Open::Sequence { pointer, index }) => {
                let pointer = format!("{pointer}/{index}");
                *index += 1;
                Slot::Node { pointer, key: None }
            }
        }
    }

    fn give_key(&mut self, name: String, span: Span) {
        let Some(Open::Mapping { pointer, seen, key }) = self.open.last_mut() else {
            return;
        };
        match seen.get(&name) {
            // A mapping may be merged into another more than once.
            Some(first) if name != "<<" => {
                let duplicate = (format!("{pointer}/{}", escaped(&name)), place(first.start), place(span.start));
                self.documents.last_mut().into_iter().for_each(|document| document.duplicates.push(duplicate.clone()));
            }
            Some(_) => {}
            None => drop(seen.insert(name.clone(), span)),
        }
        *key = Some((name, span));
    }

    /// The first of two equal keys counts, as it does for the values.
    fn record(&mut self, pointer: String, node: Node) {
        if let Some(document) = self.documents.last_mut() {
            document.nodes.entry(pointer).or_insert(node);
        }
    }
}

/// Whether a text could be a number to YAML that is another text when it is printed.
fn is_odd_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_numeric = digits.starts_with(|c: char| c.is_ascii_digit());
    let is_printed_so =
        text == "0" || !(text.starts_with('+') || digits.starts_with('0')) && digits.bytes().all(|c| c.is_ascii_digit());
    is_numeric && !is_printed_so
}

/// A key as part of a JSON pointer.
fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

/// Says in plain words why text is not YAML.
fn syntax(text: &str, error: &ScanError) -> Fault {
    let fault = |message: &str| Fault::new(place(*error.marker()), Code::Syntax, message);
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            let message = "there is a tab, and YAML is indented with spaces only";
            Fault::new(first_tab(text, place(*error.marker())), Code::Syntax, message).with_help("replace each tab by two spaces")
        }
        ErrorKind::ExpectedFlowMappingSeparator => fault("expected `,` or `}`"),
        ErrorKind::ExpectedFlowSequenceSeparator => fault("expected `,` or `]`"),
        ErrorKind::RecursionLimitExceeded => fault("the parts are nested too deeply"),
        ErrorKind::UnclosedQuotedScalar => fault("a quotation mark has no partner"),
        ErrorKind::InvalidQuotedScalarIndent => {
            fault("a quotation mark has no partner, or the text in quotes goes on in a line that is not indented")
        }
        ErrorKind::UnclosedFlowCollection { open } => fault(&format!("`{open}` is never closed")),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => fault("there cannot be a `:` here")
            .with_help("text that contains `: ` has to stand in quotes; otherwise check the indentation"),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation | ErrorKind::SimpleKeyExpected => {
            fault("expected `key: value`").with_help("check the indentation of this line and of the ones above")
        }
        ErrorKind::UnknownAnchor => {
            fault("this alias has no anchor before it").with_help("text that begins with `*` has to stand in quotes")
        }
        kind => fault(&format!("this is not YAML: {kind}")),
    }
}

/// The tab itself: the parser names the place at which it stumbled over it.
fn first_tab(text: &str, place: Place) -> Place {
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let column = line.chars().position(|c| c == '\t').map_or(place.column, |at| at + 1);
    Place { column, ..place }
}
