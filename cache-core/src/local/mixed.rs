//! How maps beside the one of entries hash, whose keys are a program's too: tags, and what is being loaded.
//! Seeded, so that whoever chooses arguments can't choose where they land.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A hasher's seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixed(u64);

/// What all of them have in common.
static SHARED: LazyLock<SharedSeed> =
    LazyLock::new(|| SharedSeed::from_u64(RandomState::new().hash_one(0)));

impl Default for Mixed {
    fn default() -> Self {
        // The standard library's, which takes its keys from the operating system.
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Mixed {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        FoldHasher::with_seed(self.0, &SHARED)
    }
}
