//! Entries, of whatever type their values are, as a pointer of one word: what is known of an entry comes
//! first in it, and says how the whole of it is to be seen.

#![expect(
    unsafe_code,
    reason = "a pointer to the beginning of an entry becomes one to all of it"
)]

use std::any::TypeId;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::Table;
use super::readers::Reading;
use crate::local::head::Head;
use crate::local::parting;
use crate::value::{CacheValue, Value};

/// A value and its head, in one allocation, of which the front is the beginning.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stored<V> {
    front: Front,
    pub(crate) value: V,
}

/// What all entries begin with.
#[derive(Debug)]
pub(super) struct Front {
    made: &'static Made,
    head: Head,
}

/// What the entries are of which one has the front.
#[derive(Debug)]
struct Made {
    /// Of which type the value is.
    of: TypeId,
    /// Makes of a pointer to the front of such an entry one to the entry.
    whole: fn(*const Front) -> *const dyn Held,
}

mod sealed {
    /// What only entries are: a pointer to any other thing has no front.
    pub(crate) trait Sealed {}
}

impl<V> sealed::Sealed for Stored<V> {}

/// A [`Stored`] of any type.
pub(crate) trait Held: sealed::Sealed + Send + Sync {
    /// Its value.
    fn value(&self) -> &dyn Value;
}

impl<V: CacheValue> Stored<V> {
    /// An entry.
    pub(crate) fn new(head: Head, value: V) -> Self {
        let front = Front {
            made: Self::MADE,
            head,
        };
        Self { front, value }
    }

    const MADE: &'static Made = &Made {
        of: TypeId::of::<V>(),
        whole: Self::whole,
    };

    // No closure: that would be one more function for each type.
    fn whole(front: *const Front) -> *const dyn Held {
        front.cast::<Self>() as *const dyn Held
    }
}

impl<V: CacheValue> Held for Stored<V> {
    fn value(&self) -> &dyn Value {
        &self.value
    }
}

impl dyn Held + '_ {
    /// What is known of it.
    pub(crate) fn head(&self) -> &Head {
        self.view().head()
    }

    /// Whether its value is of that type.
    pub(crate) fn is_of(&self, of: TypeId) -> bool {
        self.view().is_of(of)
    }

    /// Its head and its value.
    pub(crate) fn view(&self) -> View<'_> {
        // SAFETY: it is the pointer to an entry, which lives for as long as it is borrowed.
        unsafe { View::at(front_of(self)) }
    }
}

/// The head and the value of an entry, whoever holds it.
#[derive(Clone, Copy)]
pub(crate) struct View<'r> {
    front: NonNull<Front>,
    entry: PhantomData<&'r Front>,
}

impl<'r> View<'r> {
    /// # Safety
    /// `front` points to all of an entry, which lives and is shared for all of `'r`.
    #[inline]
    unsafe fn at(front: *mut Front) -> Self {
        Self {
            // SAFETY: it points to an entry.
            front: unsafe { NonNull::new_unchecked(front) },
            entry: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn head(self) -> &'r Head {
        // SAFETY: it points to an entry that lives for all of `'r`, and is shared.
        unsafe { &(*self.front.as_ptr()).head }
    }

    #[inline]
    fn made(self) -> &'static Made {
        // SAFETY: as above.
        unsafe { (*self.front.as_ptr()).made }
    }

    #[inline]
    fn is_of(self, of: TypeId) -> bool {
        self.made().of == of
    }

    /// The value, if it is of that type.
    // An `if`: a combinator would be compiled for each type too.
    #[allow(clippy::if_then_some_else_none)]
    #[inline]
    pub(crate) fn value<V: 'static>(self) -> Option<&'r V> {
        if self.is_of(TypeId::of::<V>()) {
            let entry = self.front.as_ptr() as *const Stored<V>;
            // SAFETY: as above, and an entry that is made of such a value is a `Stored` of one.
            Some(unsafe { &(*entry).value })
        } else {
            None
        }
    }
}

/// An entry as it is held under locks, in the local tier and in flights. While a [`Parting`](parting::Parting) is
/// open, one that is dropped is not the last reference.
#[derive(Clone)]
pub(crate) struct Kept(Arc<dyn Held>);

impl Kept {
    pub(crate) fn new(entry: Arc<dyn Held>) -> Self {
        Self(entry)
    }

    /// The same, for who holds no lock.
    pub(crate) fn entry(&self) -> Arc<dyn Held> {
        Arc::clone(&self.0)
    }

    /// As it is found in the table.
    #[cfg(test)]
    pub(crate) fn found(&self) -> Found<'_> {
        let front = front_of(Arc::as_ptr(&self.0));
        // SAFETY: it is the pointer to an entry, of which this holds a count for as long as it is borrowed.
        unsafe { Found::at(front) }
    }
}

impl Deref for Kept {
    type Target = Arc<dyn Held>;

    fn deref(&self) -> &Arc<dyn Held> {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        parting::keep(&self.0);
    }
}

/// An entry of the table, for as long as it is read.
#[derive(Clone, Copy)]
pub(crate) struct Found<'r>(View<'r>);

impl<'r> Found<'r> {
    /// # Safety
    /// `front` was made by [`into_raw`], or is what that would make, and somebody holds a count of the entry
    /// for all of `'r`.
    #[inline]
    pub(super) unsafe fn at(front: *mut Front) -> Self {
        // SAFETY: it points to all of an entry that is counted.
        Self(unsafe { View::at(front) })
    }

    #[inline]
    pub(crate) fn head(self) -> &'r Head {
        self.0.head()
    }

    /// For longer than it is read.
    pub(crate) fn kept(self) -> Arc<dyn Held> {
        let whole = (self.0.made().whole)(self.0.front.as_ptr());
        // SAFETY: somebody holds a count, and the pointer that it was made from came from an `Arc`.
        unsafe {
            Arc::increment_strong_count(whole);
            Arc::from_raw(whole)
        }
    }

    /// Whether both are one.
    pub(crate) fn is(self, other: Self) -> bool {
        self.0.front == other.0.front
    }
}

/// An entry of a table, and the reading that it is found in.
pub(crate) struct Lent<'t> {
    front: NonNull<Front>,
    reading: Reading,
    /// Whoever drops the table does so without a look at who reads.
    table: PhantomData<&'t Front>,
}

impl<'t> Lent<'t> {
    /// What is in a table, and the reading that it is found in.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn find(table: &'t Table, hash: u64) -> Option<Self> {
        let reading = Reading::begin();
        let front = table.find(hash, &reading)?.0.front;
        Some(Self {
            front,
            reading,
            table: PhantomData,
        })
    }

    /// For as long as this is held on to.
    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        let _: &Reading = &self.reading;
        // SAFETY: it was found during the reading, which goes on for as long as this is borrowed, and the table
        // lives for longer.
        unsafe { View::at(self.front.as_ptr()) }
    }

    #[inline]
    pub(crate) fn head(&self) -> &Head {
        self.view().head()
    }
}

/// A pointer that owns a count of an entry.
pub(super) fn into_raw(entry: &Kept) -> *mut Front {
    front_of(Arc::into_raw(Arc::clone(&entry.0)))
}

/// The beginning of an entry.
// An entry begins with its front, and is nothing but a `Stored`: there is no other `Held`.
#[allow(clippy::cast_ptr_alignment)]
fn front_of(entry: *const (dyn Held + '_)) -> *mut Front {
    entry.cast::<Front>().cast_mut()
}

/// The entry that a pointer owns.
///
/// # Safety
/// The pointer was made by [`into_raw`], and this is called once for it.
pub(super) unsafe fn from_raw(front: *mut Front) -> Kept {
    // SAFETY: `whole` makes of it the pointer that it was made from, with the count that it owns.
    Kept(unsafe {
        let whole = (*front).made.whole;
        Arc::from_raw(whole(front))
    })
}
