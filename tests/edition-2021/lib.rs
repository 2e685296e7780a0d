//! Nothing of its own: the tests are those of `tests/tests/forms.rs`, in edition 2021.
