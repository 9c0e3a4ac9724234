//! The backend manager: a dashboard and a conversation over the host.
//!
//! It owns no second way of changing the world. What is asked of it is answered
//! from the same views as everybody else's questions.

pub mod access;
pub mod sql;
pub mod store;
