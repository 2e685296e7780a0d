//! The keys of the simulated world, the tags they carry, and which of them a name concerns.

/// The kinds: two whose values are shared as bytes, one whose values stay local, and one whose values
/// have a tag that only they know of.
pub(super) const KINDS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
/// Which of them stays local, and which has the tag.
pub(super) const LOCAL: usize = 2;
pub(super) const LABELLED: usize = 3;
/// How many keys each kind has.
pub(super) const IDS: usize = 3;
/// How many keys there are.
pub(super) const KEYS: usize = KINDS.len() * IDS;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SimKey(pub usize);

impl SimKey {
    /// Every key.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..KEYS).map(Self)
    }

    /// The number of its kind.
    #[must_use]
    pub(super) fn kind(self) -> usize {
        self.0 / IDS
    }

    /// Its argument.
    #[must_use]
    pub(super) fn id(self) -> u64 {
        (self.0 % IDS) as u64
    }

    /// Its other argument, which many keys share.
    #[must_use]
    pub(super) fn group(self) -> u64 {
        self.id() % 2
    }

    /// Whether its values are in the shared tier.
    #[must_use]
    pub(super) fn is_shared(self) -> bool {
        self.kind() != LOCAL
    }

    /// What its value is tagged with, where the arguments don't tell.
    #[must_use]
    pub(super) fn label(self) -> u64 {
        self.id() / 2
    }

    /// Which of a node's data connections it uses.
    #[must_use]
    pub(super) fn lane(self, lanes: usize) -> usize {
        lane_of(&self.name(), lanes)
    }

    /// Its name on the server.
    #[must_use]
    pub(super) fn name(self) -> String {
        let kind = KINDS[self.kind()];
        format!("{kind}:{kind}:{}:{}", self.id(), self.group())
    }
}

/// Which of so many connections a key uses.
#[must_use]
pub(super) fn lane_of(key: &str, lanes: usize) -> usize {
    let sum: usize = key.bytes().map(usize::from).sum();
    sum % lanes
}

/// The keys that carry a tag of this one's own: what a write of it ends.
pub(super) fn beside(key: SimKey) -> impl Iterator<Item = SimKey> {
    SimKey::all().filter(move |other| other.id() == key.id() || other.group() == key.group())
}

/// What an invalidation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum Target {
    User(u64),
    Group(u64),
    Label(u64),
    Key(SimKey),
    Kind(usize),
    All,
}

impl Target {
    /// The keys it concerns.
    pub(super) fn keys(self) -> impl Iterator<Item = SimKey> {
        SimKey::all().filter(move |key| match self {
            Self::User(id) => key.id() == id,
            Self::Group(group) => key.group() == group,
            Self::Label(label) => key.kind() == LABELLED && key.label() == label,
            Self::Key(target) => *key == target,
            Self::Kind(kind) => key.kind() == kind,
            Self::All => true,
        })
    }
}

/// The keys that a push about this name concerns.
#[must_use]
pub(super) fn concerned_by(name: &str) -> Vec<SimKey> {
    match name.strip_prefix("l:") {
        Some(lease) => SimKey::all().filter(|key| key.name() == lease).collect(),
        None => ended_by(name),
    }
}

/// The keys whose values end when this name goes away on the server.
#[must_use]
pub(super) fn ended_by(name: &str) -> Vec<SimKey> {
    let ends = |key: &SimKey| match name.split_at_checked(2) {
        Some(("e:", entry)) => key.is_shared() && key.name() == entry,
        Some(("t:", tag)) => match tag.split_once('~') {
            Some(("", "")) => true,
            // The tag of one key, or of one kind.
            Some((_, rest)) if rest.contains(':') => !key.is_shared() && key.name() == rest,
            Some((_, kind)) => KINDS[key.kind()] == kind,
            None => {
                let labelled = key.kind() == LABELLED && tag == format!("label:{}", key.label());
                labelled
                    || tag == format!("user:{}", key.id())
                    || tag == format!("group:{}", key.group())
            }
        },
        _ => name == "*",
    };
    SimKey::all().filter(ends).collect()
}
