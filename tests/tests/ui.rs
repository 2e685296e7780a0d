//! Every mistake a user can make, one file each: what the compiler says of it is part of the
//! product. `TRYBUILD=overwrite cargo test -p cache-tests --test ui` writes the texts anew.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
