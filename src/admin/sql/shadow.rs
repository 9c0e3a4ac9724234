//! The same question for a parser that does not know all of PostgreSQL's grammar.
//!
//! What the database runs is never changed. The parser gets a shadow of it, in
//! which a form that it does not know is said in one that it does. A rule here
//! may leave out keywords and names, or put keywords in their place. It never
//! leaves out an expression, so nothing that could act is out of the parser's
//! sight; and the names of all calls have been looked at before.

use super::lexer::{Token, Word};

/// The words for the parser.
pub(super) fn of(tokens: &[Token]) -> Vec<Token> {
    let mut shadow = Vec::with_capacity(tokens.len());
    // Which call or clause the brackets around belong to, where that matters, and those that were closed last.
    let mut around: Vec<Option<&str>> = Vec::new();
    let mut closed = None;
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let inside = around.last().copied().flatten();
        let mut taken = left_out(before, rest, inside, closed);
        if taken == 0 {
            taken = said_otherwise(before, rest, inside, &mut shadow);
        }
        closed = None;
        for at in at..at + taken {
            if tokens[at].is_mark("(") {
                around.push(at.checked_sub(1).and_then(|before| bracketed(&tokens[before])));
            } else if tokens[at].is_mark(")") {
                closed = around.pop().flatten();
            }
        }
        at += taken;
    }
    shadow
}

fn is_one_of(token: Option<&Token>, names: &[&str]) -> bool {
    token.is_some_and(|token| names.iter().any(|name| token.is(name)))
}

fn is_mark(token: Option<&Token>, mark: &str) -> bool {
    token.is_some_and(|token| token.is_mark(mark))
}

/// Calls and clauses whose brackets hold what the parser does not know.
fn bracketed(token: &Token) -> Option<&'static str> {
    const KNOWN: [&str; 13] = [
        "all",
        "any",
        "some",
        "xmlattributes",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "substring",
        "using",
    ];
    KNOWN.into_iter().find(|name| token.is(name))
}

/// Types whose literals the parser takes for columns with a name.
const TYPES: &[&str] = &[
    "box",
    "bytea",
    "cidr",
    "circle",
    "daterange",
    "inet",
    "int4range",
    "int8range",
    "jsonpath",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "numrange",
    "oid",
    "point",
    "polygon",
    "regclass",
    "regtype",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "uuid",
    "varbit",
    "xml",
];

/// How many words from here on the parser does not need.
fn left_out(before: Option<&Token>, rest: &[Token], around: Option<&str>, closed: Option<&str>) -> usize {
    let (token, next) = (&rest[0], rest.get(1));
    let follows = |words: &[&str]| is_one_of(before, words);
    let named = |at: usize| rest.get(at).is_some_and(|token| token.as_name().is_some());
    // `FROM ONLY t`: without the tables that inherit from it.
    let is_only = token.is("only") && (follows(&["from", "join", "table", "update"]) || is_mark(before, ","));
    // Which of them comes first does not matter here.
    let is_symmetric = is_one_of(Some(token), &["symmetric", "asymmetric"]) && follows(&["between"]);
    let is_distinct = is_one_of(Some(token), &["distinct", "all"]) && follows(&["by"]);
    let is_trim = token.is("from") && follows(&["leading", "trailing", "both"]);
    let is_xml = matches!(around, Some("xmlparse" | "xmlserialize"))
        && is_mark(before, "(")
        && is_one_of(Some(token), &["document", "content"]);
    let is_xml =
        is_xml || (around == Some("xmlroot") && is_mark(before, ",") && is_one_of(Some(token), &["version", "standalone"]));
    let is_text = |at: usize| rest.get(at).is_some_and(|token| matches!(token.word, Word::Text(_)));
    let is_literal = is_one_of(Some(token), TYPES) && is_text(1) && !is_mark(before, ".");
    if (is_only && !is_mark(next, "(")) || is_symmetric || is_distinct || is_trim || is_xml || is_literal {
        return 1;
    }
    // Which numbers a row gets that is added is for a person to judge.
    if token.is("overriding") && is_one_of(next, &["system", "user"]) && is_one_of(rest.get(2), &["value"]) {
        return 3;
    }
    if is_mark(before, ")") && (token.is("search") || token.is("cycle")) {
        return recursion_clause(rest);
    }
    // `xmlforest(a AS b)`: the name is the element's.
    let names_element = matches!(around, Some("xmlattributes" | "xmlforest"));
    let ends = is_mark(rest.get(2), ",") || is_mark(rest.get(2), ")");
    let is_name = (names_element && ends) || closed == Some("using");
    let is_by = around == Some("xmlexists") && token.is("by") && is_one_of(next, &["ref", "value"]);
    let is_ordinality = token.is("with") && is_one_of(next, &["ordinality"]);
    let is_collation = token.is("collation") && is_one_of(next, &["for"]) && is_mark(rest.get(2), "(");
    // `a::text COLLATE "C"`, and `'1 day'::interval PRECEDING`.
    let is_order = token.is("collate") && named(1) && !is_mark(before, ".") && !follows(&["as"]);
    if is_order && is_mark(rest.get(2), ".") && named(3) {
        return 4;
    }
    let is_offset = token.is_mark("::") && named(1) && is_one_of(rest.get(2), &["preceding", "following"]);
    // `(c).*`: all columns of a row.
    let is_star =
        is_mark(before, ")") && token.is_mark(".") && next.is_some_and(|next| next.word == Word::Operator("*".to_owned()));
    if (is_name && token.is("as") && named(1)) || is_by || is_ordinality || is_collation || is_star || is_order || is_offset {
        return 2;
    }
    if token.is("exclude") && follows(&["row", "preceding", "following"]) {
        let is_two = is_one_of(next, &["current", "no"]) && is_one_of(rest.get(2), &["row", "others"]);
        return if is_two {
            3
        } else if is_one_of(next, &["ties", "group"]) {
            2
        } else {
            0
        };
    }
    // A literal of a type of somebody's own.
    if token.as_name().is_some() && is_mark(next, ".") && named(2) && is_text(3) && !is_mark(before, ".") { 3 } else { 0 }
}

/// `SEARCH DEPTH FIRST BY a, b SET c` and `CYCLE a, b SET c [TO v DEFAULT w] USING d`, behind a recursive query: nothing but names.
fn recursion_clause(rest: &[Token]) -> usize {
    let says = |at: usize, words: &[&str]| is_one_of(rest.get(at), words);
    let named = |at: usize| rest.get(at).is_some_and(|token| token.as_name().is_some());
    let columns = |from: usize| {
        let mut at = from + 1;
        while is_mark(rest.get(at), ",") && named(at + 1) {
            at += 2;
        }
        if named(from) { at } else { from }
    };
    if says(0, &["search"]) && says(1, &["depth", "breadth"]) && says(2, &["first"]) && says(3, &["by"]) {
        let at = columns(4);
        if !(says(at, &["set"]) && named(at + 1)) {
            return 0;
        }
        return at + 2 + if says(at + 2, &["cycle"]) { recursion_clause(&rest[at + 2..]) } else { 0 };
    }
    let mut at = columns(1);
    if !(says(0, &["cycle"]) && says(at, &["set"]) && named(at + 1)) {
        return 0;
    }
    at += 2;
    let is_value = |at: usize| {
        rest.get(at)
            .is_some_and(|token| matches!(token.word, Word::Text(_) | Word::Number(_)) || token.is("true") || token.is("false"))
    };
    if says(at, &["to"]) && is_value(at + 1) && says(at + 2, &["default"]) && is_value(at + 3) {
        at += 4;
    }
    if says(at, &["using"]) && named(at + 1) { at + 2 } else { 0 }
}

/// Writes what stands here so that the parser knows it, and says how many words that was.
fn said_otherwise(before: Option<&Token>, rest: &[Token], around: Option<&str>, shadow: &mut Vec<Token>) -> usize {
    let token = &rest[0];
    let next = rest.get(1);
    let is_label = is_one_of(before, &["as"]) || is_mark(before, ".");
    // `TABLE t` is short for `SELECT * FROM t`.
    if token.is("table") && !is_label {
        shadow.extend([Token::name("select"), Token::new(Word::Operator("*".to_owned())), Token::name("from")]);
        return 1;
    }
    // `= ANY (VALUES (1), (2))`: rows in place of columns.
    if token.is("values") && is_mark(before, "(") && matches!(around, Some("all" | "any" | "some")) {
        shadow.push(Token::name("select"));
        return 1;
    }
    // `FROM ONLY (t)`, which is the same as without brackets.
    let in_from = is_one_of(before, &["from", "join", "lateral", "table"]) || is_mark(before, ",");
    if in_from && token.is("only") && is_mark(next, "(") {
        let names = rest[2..].iter().take_while(|token| token.as_name().is_some() || token.is_mark("."));
        let names: Vec<Token> = names.cloned().collect();
        if is_mark(rest.get(2 + names.len()), ")") {
            let length = names.len() + 3;
            shadow.extend(names);
            return length;
        }
    }
    // `ROWS FROM (f(1), g(2))`: calls beside one another, like columns of a row.
    let is_query = |token: Option<&Token>| is_one_of(token, &["select", "values", "with", "table"]);
    if in_from && token.is("rows") && is_one_of(next, &["from"]) && is_mark(rest.get(2), "(") && !is_query(rest.get(3)) {
        shadow.push(Token::new(Word::Mark("(")));
        shadow.push(Token::name("select"));
        return 3;
    }
    // `xmlelement(NAME a, …)`: the name is the element's.
    let names_element = matches!(around, Some("xmlelement" | "xmlpi")) && token.is("name") && is_mark(before, "(");
    if let Some(name) = next.and_then(Token::as_name).filter(|_| names_element) {
        shadow.push(Token::new(Word::Text(name.to_owned())));
        return 2;
    }
    // `IS DOCUMENT` asks about a value, as `IS NULL` does.
    if token.is("document") && is_one_of(before, &["is", "not"]) && !is_mark(next, "(") {
        shadow.push(Token::name("null"));
        return 1;
    }
    // The parser has a reading of its own for `xmlparse`.
    if token.is("xmlparse") && is_mark(next, "(") {
        shadow.push(Token::name("xmlcomment"));
        return 1;
    }
    let separates = match around {
        Some("xmlserialize") => token.is("as"),
        Some("xmlexists") => token.is("passing"),
        Some("substring") => (token.is("similar") && !is_one_of(next, &["to"])) || token.is("escape"),
        _ => false,
    };
    shadow.push(if separates { Token::new(Word::Mark(",")) } else { token.clone() });
    1
}
