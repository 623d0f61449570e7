use std::ops::{Deref, DerefMut};

/// A part of a machine that takes memory only once it was changed: until then it is read as it is in the beginning.
///
/// Machines are made when descriptions agree on them, and many are never used: a peer that only listens has a sender, too.
#[derive(Clone, Debug)]
pub(crate) struct Later<T>(Option<Box<T>>);

/// What a part is in the beginning.
pub(crate) trait Blank: Clone + 'static {
    /// It, once for all.
    fn blank() -> &'static Self;
}

impl<T> Later<T> {
    /// One that is as in the beginning.
    pub(crate) const NEW: Self = Self(None);

    /// What was changed, if it was: for changes that mean nothing in the beginning.
    pub(crate) fn made(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Blank> Deref for Later<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(made) => made,
            None => T::blank(),
        }
    }
}

impl<T: Blank> DerefMut for Later<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::blank().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blank for u64 {
        fn blank() -> &'static Self {
            &7
        }
    }

    #[test]
    fn it_is_blank_until_it_is_changed() {
        let mut part = Later::<u64>::NEW;
        assert_eq!((*part, part.made()), (7, None));
        *part += 1;
        assert_eq!((*part, *part.clone(), part.made()), (8, 8, Some(&mut 8)));
    }
}
