//! placeholder
/// A cache.
#[derive(Debug)]
pub struct Cache;
impl AsRef<Cache> for Cache {
    fn as_ref(&self) -> &Cache {
        self
    }
}
/// The canonical name of one entry.
#[derive(Debug)]
pub struct Key;
/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidation {
    /// Done everywhere that can be reached.
    Applied,
    /// Kept, to be applied when the store can be reached again.
    Queued,
}
