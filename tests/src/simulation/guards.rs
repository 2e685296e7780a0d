//! The guards of DESIGN 4 that a run can do without, to show that the checker would tell.

/// A guard, by its number in the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Guard {
    G1,
    G2,
    G3,
    G4,
    G5,
    G6,
    G7,
    G8,
    G9,
    G10,
    G11,
    G12,
    G13,
    G14,
    G15,
    G16,
    G17,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::G1,
        Self::G2,
        Self::G3,
        Self::G4,
        Self::G5,
        Self::G6,
        Self::G7,
        Self::G8,
        Self::G9,
        Self::G10,
        Self::G11,
        Self::G12,
        Self::G13,
        Self::G14,
        Self::G15,
        Self::G16,
        Self::G17,
    ];

    /// The switch in the engine; `None` for what is the simulated store's own.
    #[cfg(feature = "sabotage")]
    pub(super) fn in_engine(self) -> Option<cache_core::sabotage::Guard> {
        use cache_core::sabotage::Guard as Engine;
        Some(match self {
            Self::G2 | Self::G3 | Self::G5 | Self::G15 => return None,
            Self::G1 => Engine::G1,
            Self::G4 => Engine::G4,
            Self::G6 => Engine::G6,
            Self::G7 => Engine::G7,
            Self::G8 => Engine::G8,
            // In the simulated store as well: where there is one, it is the store that compares.
            Self::G9 => Engine::G9,
            Self::G10 => Engine::G10,
            Self::G11 => Engine::G11,
            Self::G12 => Engine::G12,
            Self::G13 => Engine::G13,
            Self::G14 => Engine::G14,
            Self::G16 => Engine::G16,
            Self::G17 => Engine::G17,
        })
    }
}

/// The guard a run does without, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed(pub Option<Guard>);

impl Removed {
    /// Whether it is this one.
    #[must_use]
    pub fn has(self, guard: Guard) -> bool {
        self.0 == Some(guard)
    }
}
