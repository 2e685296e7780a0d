//! What a build with the default features leaves out: that it says so, and what to add.

#[cfg(not(feature = "policy-file"))]
#[test]
fn a_policy_file_says_which_feature_it_takes() {
    use cache_core::{Cache, ErrorKind};

    let error = Cache::builder()
        .policies_toml("[kinds.a]\nttl = \"1m\"\n")
        .expect_err("nothing here reads TOML");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("features = [\"policy-file\"]"), "{text}");
}

#[cfg(not(feature = "postcard"))]
#[test]
fn postcard_says_which_feature_it_takes() {
    use cache_core::{Cache, Codec, ErrorKind, Policy};

    let error = Cache::builder()
        .policy("a", Policy::new().codec(Codec::Postcard))
        .try_build()
        .expect_err("nothing here writes it");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("features = [\"postcard\"]"), "{text}");
}
