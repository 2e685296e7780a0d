//! placeholder, replaced by the nouns branch
/// The id of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(pub [u8; 16]);
