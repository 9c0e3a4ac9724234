//! The configuration that nginx has, as one text, with some of its files replaced.
//!
//! nginx can test a configuration only as a whole, beginning with its main file,
//! and takes relative paths to be relative to that file. So its files are put
//! together into one text, paths are made absolute, and what is to be tested
//! takes the place of what is there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::{
    config::{Config, Directive},
    include,
};

/// The files of a configuration by their paths, and the main one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    main: PathBuf,
    files: BTreeMap<PathBuf, String>,
}

/// A configuration cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// nginx printed something else.
    #[error("what `nginx -T` printed is not a configuration")]
    Unreadable,
    /// A file has no form.
    #[error("{path} cannot be read: {message}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Files include each other.
    #[error("the files around {path} include each other without end")]
    Endless {
        /// One of them.
        path: PathBuf,
    },
    /// The sites would never be read.
    #[error("nginx does not include {directory}/*.conf anywhere in {main}, so what is written there would never be served")]
    NotIncluded {
        /// The directory, as nginx sees it.
        directory: String,
        /// The main file.
        main: PathBuf,
    },
}

/// What each file in the dump begins with.
const HEADER: &str = "# configuration file ";
/// Includes go no deeper than this; nginx itself would run out of file handles in a circle.
const MAX_DEPTH: usize = 32;
/// Directives other than `include` whose first argument is a path relative to the main file's directory.
const PATHS: [&str; 13] = [
    "auth_basic_user_file",
    "grpc_ssl_certificate",
    "grpc_ssl_certificate_key",
    "grpc_ssl_trusted_certificate",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_trusted_certificate",
];

impl Dump {
    /// Puts these files together, beginning with the main one.
    #[must_use]
    pub fn new(main: &Path, files: BTreeMap<PathBuf, String>) -> Self {
        Self { main: main.to_owned(), files }
    }

    /// Reads what `nginx -T` prints to its standard output.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (mut main, mut files) = (None, BTreeMap::<PathBuf, String>::new());
        let mut current: Option<&mut String> = None;
        for line in text.split_inclusive('\n') {
            let header = line.trim_end().strip_prefix(HEADER).and_then(|path| path.strip_suffix(':'));
            match header.filter(|path| path.starts_with('/')) {
                Some(path) => {
                    main.get_or_insert_with(|| PathBuf::from(path));
                    current = Some(files.entry(PathBuf::from(path)).or_default());
                }
                None => current.iter_mut().for_each(|file| file.push_str(line)),
            }
        }
        main.map(|main| Self { main, files }).ok_or(Error::Unreadable)
    }

    /// One text that means the same.
    pub fn whole(&self) -> Result<String, Error> {
        self.flatten(None)
    }

    /// One text that means the same, with `sites` in the place of what `directory` holds.
    pub fn with_sites(&self, directory: &str, sites: &[String]) -> Result<String, Error> {
        let normal = include::absolute(Path::new("/"), directory);
        let includes = sites.iter().fold(String::new(), |mut text, site| {
            let _ = writeln!(text, "include \"{site}\";");
            text
        });
        let mut sites = Sites { directory: normal, includes, found: false };
        let text = self.flatten(Some(&mut sites))?;
        if sites.found { Ok(text) } else { Err(Error::NotIncluded { directory: directory.to_owned(), main: self.main.clone() }) }
    }

    /// One text that means the same, with these texts in the place of those that the files of these paths have.
    pub fn with_texts<'a>(mut self, texts: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<String, Error> {
        for (path, text) in texts {
            if let Some(file) = self.files.get_mut(path) {
                text.clone_into(file);
            }
        }
        self.whole()
    }

    fn flatten(&self, sites: Option<&mut Sites>) -> Result<String, Error> {
        let base = self.main.parent().unwrap_or(Path::new("/"));
        Flattener { files: &self.files, base, sites }.file(&self.main, 0)
    }
}

/// What takes the place of an `include` of all sites.
struct Sites {
    directory: PathBuf,
    includes: String,
    found: bool,
}

struct Flattener<'a> {
    files: &'a BTreeMap<PathBuf, String>,
    base: &'a Path,
    sites: Option<&'a mut Sites>,
}

impl Flattener<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<String, Error> {
        if depth == MAX_DEPTH {
            return Err(Error::Endless { path: path.to_owned() });
        }
        let text = self.files.get(path).ok_or(Error::Unreadable)?;
        let config = Config::parse(text).map_err(|error| Error::Broken { path: path.to_owned(), message: error.to_string() })?;
        let mut out = String::with_capacity(text.len());
        let copied = self.directives(&config.directives, (text, 0), (&mut out, depth))?;
        out.push_str(&text[copied..]);
        Ok(out)
    }

    /// Copies a text from here on, with what has to be another: up to which byte.
    fn directives(
        &mut self,
        directives: &[Directive],
        (text, mut copied): (&str, usize),
        (out, depth): (&mut String, usize),
    ) -> Result<usize, Error> {
        for directive in directives {
            copied = self.directives(directive.children(), (text, copied), (out, depth))?;
            let [argument] = directive.arguments.as_slice() else { continue };
            let (name, path) = (directive.name.value.as_str(), argument.value.as_str());
            let replacement = match name {
                "include" => self.include(path, depth)?,
                _ if PATHS.contains(&name) && is_relative(path) => {
                    format!("{name} \"{}\";", include::absolute(self.base, path).display())
                }
                _ => continue,
            };
            out.push_str(&text[copied..directive.range.start]);
            out.push_str(&replacement);
            copied = directive.range.end;
        }
        Ok(copied)
    }

    fn include(&mut self, pattern: &str, depth: usize) -> Result<String, Error> {
        let pattern = include::absolute(self.base, pattern);
        let name = pattern.file_name().unwrap_or_default().to_string_lossy();
        if let Some(sites) = self.sites.as_mut().filter(|sites| pattern.parent() == Some(sites.directory.as_path()))
            && include::name_matches(&name, "a.conf")
        {
            sites.found = true;
            return Ok(sites.includes.clone());
        }
        // Named without a pattern, one of the sites may be included on its own.
        let included: Vec<&PathBuf> = self.files.keys().filter(|path| include::matches(&pattern, path)).collect();
        // A pattern may stand for nothing; a file that is not among ours is left for nginx to read, or to miss.
        if included.is_empty() && !pattern.to_string_lossy().contains(['*', '?', '[']) {
            return Ok(format!("include \"{}\";", pattern.display()));
        }
        included.into_iter().try_fold(String::new(), |text, path| {
            // A comment at the end of a file ends with it.
            Ok(text + &self.file(path, depth + 1)? + "\n")
        })
    }
}

/// Neither absolute nor something that is no path at all.
fn is_relative(path: &str) -> bool {
    !path.starts_with(['/', '$']) && !path.starts_with("data:") && !path.starts_with("engine:") && path != "off"
}

#[cfg(test)]
mod tests;
