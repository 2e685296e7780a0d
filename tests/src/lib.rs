//! What the integration tests share: private servers, made for one test and gone with it.

pub mod server;
