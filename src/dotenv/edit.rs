//! Changing one variable of a file and nothing else.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Error, File, Quoting, parse, quote};

impl File {
    /// Makes `key` have `value`, and every other byte stay as it is.
    ///
    /// The last line that assigns the key is changed, since that is the one that counts; its `export`, its quotes and
    /// its comment stay. If there is none, a line is appended. Changes nothing if it fails.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        if !parse::is_name(key) {
            return Err(Error::Name { name: key.to_owned() });
        }
        if value.contains('\0') {
            return Err(Error::NulValue { key: key.to_owned() });
        }
        let lines = self.statements.iter().filter(|statement| self.key(statement) == key);
        match lines.rev().find_map(|statement| statement.value.as_ref()) {
            Some(old) => self.splice(old.span.clone(), &quote::encode(value, old.quoting)),
            None => self.append(key, value),
        }
    }

    /// Takes every line that names `key` out, so that no earlier one comes to count. Says whether there was any.
    pub fn remove(&mut self, key: &str) -> bool {
        let gone: Vec<_> = self.statements.iter().filter(|statement| self.key(statement) == key).collect();
        if gone.is_empty() {
            return false;
        }
        let mut text = Zeroizing::new(String::with_capacity(self.text.len()));
        let mut at = 0;
        for statement in gone {
            text.push_str(&self.text[at..statement.lines.start]);
            at = statement.lines.end;
        }
        text.push_str(&self.text[at..]);
        *self = Self::parse(text.as_bytes()).expect("whole lines can be left out of a file that parses");
        true
    }

    fn append(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let ending = self.line_ending();
        let content = self.text.trim_start_matches(parse::BYTE_ORDER_MARK);
        let first = if content.is_empty() || content.ends_with('\n') { "" } else { ending };
        let value = quote::encode(value, Quoting::Unquoted);
        let line = Zeroizing::new(format!("{first}{key}={}{ending}", *value));
        self.splice(self.text.len()..self.text.len(), &line)
    }

    /// How most lines of the file end.
    fn line_ending(&self) -> &'static str {
        let all = self.text.matches('\n').count();
        let windows = self.text.matches("\r\n").count();
        if windows > all - windows { "\r\n" } else { "\n" }
    }

    fn splice(&mut self, range: Range<usize>, new: &str) -> Result<(), Error> {
        let (before, after) = (&self.text[..range.start], &self.text[range.end..]);
        let mut text = Zeroizing::new(String::with_capacity(before.len() + new.len() + after.len()));
        text.extend([before, new, after]);
        *self = Self::parse(text.as_bytes())?;
        Ok(())
    }
}
