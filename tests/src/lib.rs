//! What the integration tests share: private servers, made for one test and gone with it, and a
//! cache's stand-in for a store to be attached to.

pub mod server;
pub mod service;
