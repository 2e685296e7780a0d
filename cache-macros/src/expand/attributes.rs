//! Which attribute of the user's goes on which of the functions made from theirs.

use syn::{Attribute, Meta, parse_quote};

/// The attributes, sorted.
#[derive(Default)]
pub(crate) struct Attributes {
    /// On the function of the user's name.
    pub(crate) function: Vec<Attribute>,
    /// On the one that holds the body.
    pub(crate) body: Vec<Attribute>,
    /// On the other companions.
    pub(crate) companion: Vec<Attribute>,
    /// On whatever is made besides the function.
    pub(crate) item: Vec<Attribute>,
}

impl Attributes {
    pub(crate) fn sort(attrs: &[Attribute]) -> Self {
        let mut this = Self::default();
        for attr in attrs {
            this.place(attr);
        }
        this
    }

    fn place(&mut self, attr: &Attribute) {
        let name = attr.path().get_ident().map(ToString::to_string);
        match name.as_deref().unwrap_or_default() {
            "cfg" => {
                self.function.push(attr.clone());
                self.item.push(attr.clone());
            }
            "allow" => {
                for place in [&mut self.function, &mut self.body, &mut self.companion] {
                    place.push(attr.clone());
                }
            }
            // Not on the body: what is generated here calls it, and would be warned.
            "deprecated" => {
                self.function.push(attr.clone());
                self.companion.push(attr.clone());
            }
            // What the lint was expected for is in the body; elsewhere it would go unfulfilled.
            "expect" => {
                self.body.push(attr.clone());
                if let Meta::List(list) = &attr.meta {
                    let lints = &list.tokens;
                    let allow: Attribute = parse_quote!(#[allow(#lints)]);
                    self.function.push(allow.clone());
                    self.companion.push(allow);
                }
            }
            // Not on the other companions: there is nothing to be used in some of them, what is
            // forbidden could not be allowed where code is generated, and that code is none of the
            // user's to be warned of.
            "warn" | "deny" | "forbid" | "must_use" => {
                self.function.push(attr.clone());
                self.body.push(attr.clone());
            }
            _ => self.function.push(attr.clone()),
        }
    }
}
