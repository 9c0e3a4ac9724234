//! The backend manager: a dashboard and a conversation over the host.
//!
//! It owns no second way of changing the world. What is asked of it is answered
//! from the same views as everybody else's questions, and what is to be changed
//! is shown, confirmed, and handed to the loop that acts.

pub mod access;
pub mod chat;
pub mod claw;
pub mod confirm;
pub mod database;
pub mod desk;
pub mod figures;
pub mod intent;
pub mod model;
pub mod serves;
pub mod sql;
pub mod standing;
pub mod store;
pub mod timeline;
pub mod tries;
