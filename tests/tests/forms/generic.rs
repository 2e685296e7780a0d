//! Generic functions: companions carry the same generics.

use std::fmt::Display;

use cache_core::{Error, cached};
use serde::Serialize;
use serde::de::DeserializeOwned;

trait Source {
    fn name(&self) -> String;
}

struct Memory;

impl Source for Memory {
    fn name(&self) -> String {
        "memory".to_owned()
    }
}

#[cached(kind = "parsed", tags("text:{text}"))]
async fn parsed<T>(text: &str) -> Result<T, T::Err>
where
    T: std::str::FromStr + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    std::future::ready(text.parse()).await
}

#[cached(kind = "bare", returns = value)]
fn bare<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static>(value: T) -> T {
    value
}

#[cached(kind = "consts")]
fn consts<const N: usize, const B: bool>(bytes: [u8; 3]) -> usize {
    bytes.len() + N + usize::from(B)
}

#[cached(kind = "unsized_types", skip(source))]
fn unsized_types<S: Source + ?Sized, D: Display + Serialize + ?Sized>(
    source: &S,
    id: &D,
) -> String {
    format!("{}{id}", source.name())
}

#[cached(kind = "by_impl", skip(source), tags("{id}"))]
fn by_impl<T: Display + Serialize>(source: &impl Source, id: T) -> String {
    format!("{}{id}", source.name())
}

async fn all() -> Result<(), Error> {
    assert_eq!(parsed::<u32>("17").await, Ok(17));
    parsed::invalidate::<u32>("17").await?;
    assert!(parsed::put::<u32>("17", Ok(1)).await || parsed::peek::<u32>("17").await.is_none());
    Ok(())
}

pub fn main() -> Result<(), Error> {
    assert_eq!(bare(1_u8), 1);
    bare::invalidate(1_u8)?;
    assert_eq!(consts::<2, true>([1, 2, 3]), 6);
    consts::invalidate::<2, true>([1, 2, 3])?;
    let source: &dyn Source = &Memory;
    assert_eq!(unsized_types(source, "x"), "memoryx");
    unsized_types::invalidate::<dyn Source, str>("x")?;
    assert_eq!(by_impl(&Memory, 1), "memory1");
    by_impl::invalidate(1)?;
    crate::block_on(all())
}
