//! Questions to the database of a stack.
//!
//! Two walls stand before anything is changed, and each is there as if it were
//! the only one. [`guard`] lets nothing through that it does not know to be
//! reading. [`runner`] asks so that the database itself refuses to write, as a
//! role that may not ([`role`]), within limits of time and size.

pub mod answer;
pub mod author;
pub mod change;
pub mod effects;
pub mod forms;
pub mod guard;
mod lexer;
mod reach;
mod relay;
pub mod role;
pub mod runner;
pub mod schema;
mod shadow;
mod tree;
mod words;
