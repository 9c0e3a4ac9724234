//! nginx's configuration as text: read without loss, looked through, and mended.
//!
//! Pure: goes in as files by path, comes out as findings and new texts. Nothing
//! here touches the disk, asks nginx or looks anything up; the last word on a
//! text has nginx itself (`nginx -t`), and whoever writes one asks it first.

pub mod config;
pub mod findings;
pub mod flatten;
pub mod include;
pub mod repair;

mod rewrite;
mod site;
mod target;

#[cfg(test)]
mod tests;
