//! Values computed from other values, and the file they are written to.
//!
//! A template is what a user writes under `computed.values` of an `Environment`: text with `${NAME}`,
//! `${NAME:-default}`, `${NAME:urlencode}`, and `$$` for a dollar sign. It is stricter than a `.env` file, because it is
//! new: any other dollar sign is an error, so that no typing mistake ends up in a connection string.

use std::{collections::BTreeSet, fmt};

use zeroize::Zeroizing;

use super::{Quoting, Values, quote};
use crate::secret::Secret;

/// A text with references to variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, rule: Rule },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Value,
    Default(String),
    UrlEncode,
}

/// Why a template cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct ParseError {
    /// The character at which the reference starts, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub problem: Malformed,
}

/// What is wrong with a reference in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A dollar sign alone.
    #[error("a dollar sign is written as `$$`, a reference as `${{NAME}}`")]
    Dollar,
    /// No `}`.
    #[error("this reference is never closed")]
    Unclosed,
    /// Not a variable's name.
    #[error("a reference needs a name of letters, digits and underscores that does not start with a digit")]
    Name,
    /// Something other than `:-` or `:urlencode` after the name.
    #[error("only `:-default` or `:urlencode` may follow the name")]
    Rule,
    /// A reference within a default.
    #[error("a default is plain text, without `$`")]
    NestedDefault,
}

/// The variables a template needs and nobody gives a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MissingVariables(
    /// Their names.
    pub BTreeSet<String>,
);

impl fmt::Display for MissingVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|name| format!("`{name}`")).collect();
        let (verb, names) = (if names.len() == 1 { "is" } else { "are" }, names.join(", "));
        write!(f, "{names} {verb} not set")
    }
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            push_text(&mut parts, &rest[..dollar]);
            let column = text[..text.len() - rest.len() + dollar].chars().count() + 1;
            let after = &rest[dollar + 1..];
            rest = if let Some(after) = after.strip_prefix('$') {
                push_text(&mut parts, "$");
                after
            } else {
                let (part, after) = reference(after).map_err(|problem| ParseError { column, problem })?;
                parts.push(part);
                after
            };
        }
        push_text(&mut parts, rest);
        Ok(Self { parts })
    }

    /// The variables it refers to, with or without a default.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<_> = self.references().map(|(name, _)| name).collect();
        names.into_iter()
    }

    /// The text with every reference replaced by what `lookup` finds; an empty value is a value, except that a default
    /// takes its place. If anything is missing, all of it is named.
    pub fn render<'a>(&self, lookup: impl Fn(&str) -> Option<&'a Secret>) -> Result<Secret, MissingVariables> {
        let needed = self.references().filter(|(_, rule)| !matches!(rule, Rule::Default(_)));
        let missing: BTreeSet<_> = needed.map(|(name, _)| name).filter(|name| lookup(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(MissingVariables(missing.into_iter().map(str::to_owned).collect()));
        }
        let mut out = Zeroizing::new(String::new());
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable { name, rule } => {
                    let value = lookup(name).map_or("", Secret::expose);
                    match rule {
                        Rule::Default(default) if value.is_empty() => out.push_str(default),
                        Rule::Value | Rule::Default(_) => out.push_str(value),
                        Rule::UrlEncode => url_encode(value, &mut out),
                    }
                }
            }
        }
        Ok(Secret::new(std::mem::take(&mut *out)))
    }

    fn references(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable { name, rule } => Some((name.as_str(), rule)),
        })
    }
}

/// Adjacent texts become one, so that equal templates are equal.
fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        Some(Part::Variable { .. }) | None => parts.push(Part::Text(text.to_owned())),
    }
}

/// The reference after a dollar sign, and what follows it.
fn reference(text: &str) -> Result<(Part, &str), Malformed> {
    let inner = text.strip_prefix('{').ok_or(Malformed::Dollar)?;
    let (inner, after) = inner.split_once('}').ok_or(Malformed::Unclosed)?;
    let (name, rule) = match inner.split_once(':') {
        None => (inner, Rule::Value),
        Some((name, "urlencode")) => (name, Rule::UrlEncode),
        Some((name, rule)) => (name, default(rule)?),
    };
    if is_name(name) { Ok((Part::Variable { name: name.to_owned(), rule }, after)) } else { Err(Malformed::Name) }
}

fn default(rule: &str) -> Result<Rule, Malformed> {
    match rule.strip_prefix('-') {
        None => Err(Malformed::Rule),
        Some(default) if default.contains('$') => Err(Malformed::NestedDefault),
        Some(default) => Ok(Rule::Default(default.to_owned())),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// RFC 3986: everything but the unreserved characters, so that the result can stand in any part of a URL.
fn url_encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|nibble| char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
            out.extend(['%', high, low]);
        }
    }
}

/// The text of the file of computed values of `Environment/{environment}`: the same values always give the same bytes.
#[must_use]
pub fn render_computed_file(environment: &str, values: &Values) -> Secret {
    let mut out = Zeroizing::new(format!("# Generated by Mooring from Environment/{environment}. Edits are overwritten.\n"));
    for (key, value) in values {
        let value = quote::encode(value.expose(), Quoting::Unquoted);
        out.extend([key.as_str(), "=", &value, "\n"]);
    }
    Secret::new(std::mem::take(&mut *out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dotenv::File;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned()))).collect()
    }

    fn render(template: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
        let values = values(pairs);
        let template = Template::parse(template).map_err(|error| error.to_string())?;
        let rendered = template.render(|name| values.get(name)).map_err(|error| error.to_string())?;
        Ok(rendered.expose().to_owned())
    }

    #[test]
    fn a_connection_string_is_computed_from_its_parts() {
        let template = "postgresql://${USER}:${PASSWORD:urlencode}@postgres:${PORT:-5432}/${USER}";
        let rendered = render(template, &[("USER", "shop"), ("PASSWORD", "p@ss/w ö~rd")]);
        assert_eq!(rendered.unwrap(), "postgresql://shop:p%40ss%2Fw%20%C3%B6~rd@postgres:5432/shop");
    }

    #[test]
    fn two_dollar_signs_are_one() {
        assert_eq!(render("$$${A}$$$${A}", &[("A", "x")]).unwrap(), "$x$${A}");
    }

    #[test]
    fn a_default_is_for_what_is_unset_or_empty() {
        let template = "[${A:-d}] [${B:-d}] [${C:-d}] [${C:-}]";
        assert_eq!(render(template, &[("A", "a"), ("B", "")]).unwrap(), "[a] [d] [d] []");
        assert_eq!(render("[${B}]", &[("B", "")]).unwrap(), "[]");
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(render("${A}", &[("A", "${B} $$")]).unwrap(), "${B} $$");
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        assert_eq!(render("${B}${A:urlencode}${C:-c}${A}", &[]).unwrap_err(), "`A`, `B` are not set");
        assert_eq!(render("${A}", &[("B", "")]).unwrap_err(), "`A` is not set");
    }

    #[test]
    fn a_malformed_reference_is_refused_with_its_column() {
        for (template, error) in [
            ("ö $A", "column 3: a dollar sign is written as `$$`, a reference as `${NAME}`"),
            ("$", "column 1: a dollar sign is written as `$$`, a reference as `${NAME}`"),
            ("$$${A", "column 3: this reference is never closed"),
            ("${}", "column 1: a reference needs a name of letters, digits and underscores that does not start with a digit"),
            ("${1A}", "column 1: a reference needs a name of letters, digits and underscores that does not start with a digit"),
            ("${A:upper}", "column 1: only `:-default` or `:urlencode` may follow the name"),
            ("${A:-${B}}", "column 1: a default is plain text, without `$`"),
        ] {
            assert_eq!(render(template, &[]).unwrap_err(), error, "{template}");
        }
    }

    #[test]
    fn the_variables_of_a_template_are_listed_once_and_sorted() {
        let template = Template::parse("${B}${A:-x}$${C}${B:urlencode}").unwrap();
        assert_eq!(template.variables().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn the_computed_file_is_sorted_marked_and_read_back_the_same() {
        let values = values(&[("URL", "postgres://a:b%20@c/d?e=f"), ("KEY", r#"{"key":"it's $5"}"#), ("EMPTY", "")]);
        let text = render_computed_file("shop", &values);
        expect_test::expect![[r#"
            # Generated by Mooring from Environment/shop. Edits are overwritten.
            EMPTY=''
            KEY="{\"key\":\"it's \$5\"}"
            URL='postgres://a:b%20@c/d?e=f'
        "#]]
        .assert_eq(text.expose());
        let file = File::parse(text.expose().as_bytes()).unwrap();
        assert_eq!(file.values(&Values::new()).unwrap(), values);
    }
}
