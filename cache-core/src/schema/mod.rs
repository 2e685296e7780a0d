//! stub
#![allow(dead_code)]
use serde::de::DeserializeOwned;
pub(crate) enum Schema {
    Traced {
        fingerprint: u64,
        self_describing: bool,
    },
    Untraceable {
        reason: String,
        self_describing: bool,
    },
}
pub(crate) fn trace<T: DeserializeOwned>() -> Schema {
    Schema::Untraceable {
        reason: String::new(),
        self_describing: false,
    }
}
