//! Streams of requests: what is asked for, in which order. The same for everybody, from one seed.

/// Numbers that look random (splitmix64), the same for the same seed.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number, from zero to below one.
    #[allow(clippy::cast_precision_loss)] // 53 bits are what fits.
    pub fn part(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Zipf's law over so many keys: the nth most popular is asked for 1/n^s as often as the first.
pub struct Zipf {
    /// How often one of the first so many keys is asked for.
    sums: Vec<f64>,
}

impl Zipf {
    /// Over `keys` keys, with this exponent.
    pub fn new(keys: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys)
            .map(|rank| {
                sum += f64::from(rank).powf(-exponent);
                sum
            })
            .collect();
        Self { sums }
    }

    /// A key, the most popular being zero.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let all = self.sums.last().copied().unwrap_or_default();
        let at = random.part() * all;
        let found = self.sums.partition_point(|sum| *sum <= at);
        found.min(self.sums.len() - 1) as u64
    }
}
