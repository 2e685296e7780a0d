//! Case 2: what a local hit costs where an argument is borrowed.

use crate::cases::{Case, hits};
use crate::local;
use crate::rows::Row;
use crate::{Effort, Result};

pub(super) const CASE: Case = Case {
    number: 2,
    title: "A local hit with a borrowed argument",
    about: "As the first case. The attributes of `cached` need an owned key, so they make one for each \
            call; the stores are asked with a borrowed one.",
    limit: None,
    run,
};

fn run(effort: Effort) -> Result<Vec<Row>> {
    let what = "`fn(u64, &str) -> Arc<String>`";
    let mut rows = hits::compare(what, &local::named()?, effort, 0.4)?;
    // The bare map is no target here, only the limit.
    for row in rows
        .iter_mut()
        .filter(|row| row.who == local::names::PAPAYA)
    {
        (row.target, row.met) = (None, None);
    }
    Ok(rows)
}
