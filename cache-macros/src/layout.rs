//! Where the companions of a function go.

use syn::Visibility;

use crate::args::Cached;
use crate::model::Function;

/// Where the companions go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An enum of the function's own name.
    Namespace,
    /// Methods beside the method.
    Siblings,
    /// There are none: in a trait's impl there is no place for them.
    Inline,
}

impl Layout {
    /// A macro sees neither the `impl` around a method nor whether it is a trait's. But a method
    /// with a visibility is in an inherent one.
    pub(crate) fn of(args: &Cached, function: &Function) -> Self {
        let wanted = args.companions.as_ref().map(|(_, wanted)| *wanted);
        let method = args.method || function.associated();
        match (method, wanted) {
            (_, Some(false)) => Self::Inline,
            (false, _) => Self::Namespace,
            (true, None) if matches!(function.vis, Visibility::Inherited) => Self::Inline,
            (true, _) => Self::Siblings,
        }
    }
}
